//! Node numbers: functions of (view path, container), never of a counter in one process.
//!
//! A worker that takes over from another gives the same node the same number, so what the kernel
//! remembers stays true. SipHash-1-3 with fixed keys is the same function in every release.

use std::hash::Hasher;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use siphasher::sip::SipHasher13;

/// The root of a FUSE mount is always 1.
pub(crate) const ROOT: u64 = 1;

/// The number of `path` below the mount; `container` for a node that stands for a named one.
pub(crate) fn of(path: &str, container: Option<&Path>) -> u64 {
    if path.is_empty() && container.is_none() {
        return ROOT;
    }
    let mut hasher = SipHasher13::new();
    hasher.write(path.as_bytes());
    // Neither a view's path nor a cgroup's has a NUL in it.
    hasher.write(&[0]);
    if let Some(container) = container {
        hasher.write(&[1]);
        hasher.write(container.as_os_str().as_bytes());
    }
    // 0 means "no node", 1 the root.
    hasher.finish().max(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change here breaks the hand-over from an older worker.
    #[test]
    fn numbers_are_for_ever() {
        assert_eq!(of("", None), 1);
        assert_eq!(of("proc/meminfo", None), 2_509_726_886_885_025_025);
        assert_eq!(
            of("proc/meminfo", Some(Path::new("/a"))),
            1_432_770_294_759_396_931
        );
    }
}
