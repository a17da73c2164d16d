//! Number of free descriptors.

use std::os::fd::{AsFd, AsRawFd};

use rustix::process::{Resource, getrlimit};

/// Whether half of vistafs's descriptors are in use. `latest` was just opened: the kernel assigns
/// the lowest free number.
///
/// Code that opens descriptors on behalf of a container stops there, so that some remain for all
/// other containers.
#[must_use]
pub fn are_scarce(latest: impl AsFd) -> bool {
    let number = u64::try_from(latest.as_fd().as_raw_fd()).unwrap_or(0);
    let most = getrlimit(Resource::Nofile).current;
    most.is_some_and(|most| number >= most / 2)
}

/// Whether only an eighth is left. Cached descriptors, which only save time, are closed then.
#[must_use]
pub fn are_used_up(latest: impl AsFd) -> bool {
    let number = u64::try_from(latest.as_fd().as_raw_fd()).unwrap_or(0);
    let most = getrlimit(Resource::Nofile).current;
    most.is_some_and(|most| number >= most - most / 8)
}

#[cfg(test)]
mod tests {
    use rustix::io::fcntl_dupfd_cloexec;

    use super::*;

    #[test]
    fn descriptor_numbers_show_the_usage() {
        let low = std::fs::File::open("/dev/null").unwrap();
        assert!(!are_scarce(&low));
        let most = getrlimit(Resource::Nofile).current.unwrap();
        let high = i32::try_from(most - 1).unwrap();
        let high = fcntl_dupfd_cloexec(&low, high).unwrap();
        assert!(are_scarce(&high) && are_used_up(&high) && !are_used_up(&low));
        let middle = fcntl_dupfd_cloexec(&low, i32::try_from(most / 2).unwrap()).unwrap();
        assert!(are_scarce(&middle) && !are_used_up(&middle));
    }
}
