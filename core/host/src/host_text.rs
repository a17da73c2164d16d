//! One host text, read at most once an epoch.
//!
//! Many containers start from the same host text (`/proc/meminfo`); within an epoch they share one
//! reading. Nobody waits for another: two that come at once both read.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::{HostError, KeptFile};

/// A host text as it was read at one instant.
#[derive(Debug)]
pub struct Reading {
    taken: Instant,
    text: Vec<u8>,
}

impl Deref for Reading {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.text
    }
}

/// A host text with its latest reading.
#[derive(Debug)]
pub(crate) struct HostText {
    file: KeptFile,
    latest: ArcSwapOption<Reading>,
}

impl HostText {
    pub(crate) fn new(file: KeptFile) -> Self {
        Self {
            file,
            latest: ArcSwapOption::empty(),
        }
    }

    /// A reading that is no older than `epoch`; zero always reads.
    pub(crate) fn get(&self, epoch: Duration) -> Result<Arc<Reading>, HostError> {
        let taken = Instant::now();
        let is_new = |latest: &Arc<Reading>| taken.saturating_duration_since(latest.taken) < epoch;
        if let Some(latest) = self.latest.load().as_ref().filter(|latest| is_new(latest)) {
            return Ok(Arc::clone(latest));
        }
        let mut text = Vec::new();
        self.file.file().read_required(&mut text)?;
        let reading = Arc::new(Reading { taken, text });
        if !epoch.is_zero() {
            self.latest.store(Some(Arc::clone(&reading)));
        }
        Ok(reading)
    }

    /// Forgets the latest reading.
    pub(crate) fn let_go(&self) {
        self.latest.store(None);
    }
}
