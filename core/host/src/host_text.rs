//! One host text, read at most once an epoch.
//!
//! Many containers start from the same host text (`/proc/meminfo`); within an epoch they share one
//! reading. No lock is held over the reading: two that come at once both read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;

use crate::{HostError, KeptFile};

#[derive(Debug)]
struct Snapshot {
    taken: Instant,
    text: Arc<Vec<u8>>,
}

/// A host text with its latest reading.
#[derive(Debug)]
pub(crate) struct HostText {
    file: KeptFile,
    latest: RwLock<Option<Snapshot>>,
}

impl HostText {
    pub(crate) fn new(file: KeptFile) -> Self {
        Self {
            file,
            latest: RwLock::new(None),
        }
    }

    /// A reading that is no older than `epoch`; zero always reads.
    pub(crate) fn get(&self, epoch: Duration) -> Result<Arc<Vec<u8>>, HostError> {
        let now = Instant::now();
        if let Some(snapshot) = &*self.latest.read()
            && now.saturating_duration_since(snapshot.taken) < epoch
        {
            return Ok(Arc::clone(&snapshot.text));
        }
        let mut text = Vec::new();
        self.file.file().read_required(&mut text)?;
        let text = Arc::new(text);
        if !epoch.is_zero() {
            *self.latest.write() = Some(Snapshot {
                taken: now,
                text: Arc::clone(&text),
            });
        }
        Ok(text)
    }
}
