//! The rate-limited log of failures.
//!
//! Containers can provoke some failures at any rate. One line per view in ten seconds, with the
//! number of suppressed ones, is enough.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::DispatchError;

const QUIET: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Complaints {
    // By view path; locked only after a failure.
    told: Mutex<HashMap<&'static str, (Instant, u64)>>,
}

impl Complaints {
    pub(crate) fn tell(
        &self,
        view: &'static str,
        container: &dyn std::fmt::Display,
        error: &DispatchError,
    ) {
        if !error.is_worth_telling() {
            log::debug!("{view} for {container}: {error}");
            return;
        }
        let Some(passed_over) = self.due(view, Instant::now()) else {
            return;
        };
        let more = match passed_over {
            0 => String::new(),
            n => format!("{n} more since the last message; "),
        };
        log::warn!("{view} for {container}: {error} ({more}vistafs show {view} looks closer)");
    }

    /// Returns the number of suppressed lines if a line is due.
    fn due(&self, view: &'static str, now: Instant) -> Option<u64> {
        let mut told = self.told.lock();
        match told.get_mut(view) {
            Some((at, count)) if now.saturating_duration_since(*at) < QUIET => {
                *count += 1;
                None
            }
            Some(entry) => Some(std::mem::replace(entry, (now, 0)).1),
            None => {
                told.insert(view, (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_ten_seconds() {
        let complaints = Complaints::default();
        let start = Instant::now();
        assert_eq!(complaints.due("proc/stat", start), Some(0));
        assert_eq!(complaints.due("proc/stat", start), None);
        assert_eq!(complaints.due("proc/stat", start), None);
        assert_eq!(complaints.due("proc/uptime", start), Some(0));
        assert_eq!(complaints.due("proc/stat", start + QUIET), Some(2));
        assert_eq!(complaints.due("proc/stat", start + QUIET * 2), Some(0));
    }
}
