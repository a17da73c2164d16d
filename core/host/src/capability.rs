//! Doing something without one of our own capabilities.
//!
//! The kernel keeps with each descriptor what its opener was capable of, and some files judge by
//! that what may be written later. Capabilities belong to a thread, so no other one notices.

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// Calls `work` while CAP_SYS_RESOURCE is not in effect for this thread.
///
/// # Errors
/// The kernel's, which has no reason to refuse it.
pub fn without_sys_resource<T>(work: impl FnOnce() -> T) -> Result<T, Errno> {
    let _dropped = Dropped::sys_resource()?;
    Ok(work())
}

/// Restores what was in effect, also when `work` panics.
struct Dropped(CapabilitySets);

impl Dropped {
    fn sys_resource() -> Result<Self, Errno> {
        let before = capabilities(None)?;
        let without = CapabilitySets {
            effective: before.effective - CapabilitySet::SYS_RESOURCE,
            ..before
        };
        set_capabilities(None, without)?;
        Ok(Self(before))
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        // It is still permitted, so it can be put into effect again.
        let _ = set_capabilities(None, self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_in_effect_again_afterwards() {
        let effective = || capabilities(None).unwrap().effective;
        let before = effective();
        let during = without_sys_resource(effective).unwrap();
        assert_eq!(during, before - CapabilitySet::SYS_RESOURCE);
        assert_eq!(effective(), before);
        let _ = std::panic::catch_unwind(|| without_sys_resource(|| panic!("on purpose")));
        assert_eq!(effective(), before);
    }
}
