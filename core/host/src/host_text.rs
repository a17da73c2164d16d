//! Contents of one host file, read at most once per TTL.
//!
//! Many containers start from the same host file (`/proc/meminfo`); within the TTL they share one
//! reading. Readers never wait for each other: two concurrent readers both read.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::{HostError, KeptFile};

/// Contents of a host file at one instant.
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

/// A host file with its latest reading.
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

    /// Returns a reading no older than `ttl`; zero always reads.
    pub(crate) fn get(&self, ttl: Duration) -> Result<Arc<Reading>, HostError> {
        let taken = Instant::now();
        let is_new = |latest: &Arc<Reading>| taken.saturating_duration_since(latest.taken) < ttl;
        if let Some(latest) = self.latest.load().as_ref().filter(|latest| is_new(latest)) {
            return Ok(Arc::clone(latest));
        }
        let mut text = Vec::new();
        self.file.file().read_required(&mut text)?;
        let reading = Arc::new(Reading { taken, text });
        if !ttl.is_zero() {
            self.latest.store(Some(Arc::clone(&reading)));
        }
        Ok(reading)
    }

    /// Drops the latest reading.
    pub(crate) fn let_go(&self) {
        self.latest.store(None);
    }
}
