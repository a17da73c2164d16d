//! CPU time of a thread, which does not grow while other threads have the CPUs.

use std::time::Duration;

use rustix::time::ClockId;

/// Returns the CPU time of the calling thread (`CLOCK_THREAD_CPUTIME_ID`, clock_gettime(2)).
pub(crate) fn used() -> Duration {
    Duration::try_from(rustix::time::clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
