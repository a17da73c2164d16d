//! What work costs: CPU time, which does not grow while others have the CPUs.

use std::time::Duration;

use rustix::time::ClockId;

/// The CPU time that the calling thread has used (`CLOCK_THREAD_CPUTIME_ID`, clock_gettime(2)).
pub(crate) fn used() -> Duration {
    Duration::try_from(rustix::time::clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
