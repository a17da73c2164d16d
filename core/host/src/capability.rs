//! Running code without one of vistafs's own capabilities.
//!
//! The kernel stores the opener's capabilities with each descriptor, and some files check them at
//! later writes. Capabilities belong to a thread, so other threads are unaffected.

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// Calls `work` while CAP_SYS_RESOURCE is not in effect for this thread.
///
/// # Errors
/// The kernel's errors; none is expected.
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
        // It is still permitted, so it can be made effective again.
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
