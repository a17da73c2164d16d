//! Threads of a test that end together.

use std::sync::atomic::{AtomicBool, Ordering};

/// Tells the others to stop when it is dropped, by a panic too.
pub struct StopAtEnd<'a>(pub &'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
