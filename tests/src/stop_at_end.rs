//! Threads of a test that end together.

use std::sync::atomic::{AtomicBool, Ordering};

/// Stops the other threads when it is dropped, also by a panic.
pub struct StopAtEnd<'a>(pub &'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
