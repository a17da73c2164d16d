//! The service manager's descriptor store (systemd: `FileDescriptorStoreMax=`).
//!
//! Stored descriptors survive this process, however it ends, and are passed to the next one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sd_notify::NotifyState;

use crate::inherited;

/// Names of the descriptors in the store.
const DEVICE: &str = "vistafs-device";
const STATE: &str = "vistafs-state";
const HANDOVER: &str = "vistafs-handover";

/// The descriptors that were passed back.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) device: Option<OwnedFd>,
    pub(crate) state: Option<OwnedFd>,
    pub(crate) handover: Option<OwnedFd>,
}

/// Takes the stored descriptors. Call once.
pub(crate) fn take() -> anyhow::Result<Stored> {
    let mut stored = Stored::default();
    for (number, name) in sd_notify::listen_fds_with_names()? {
        match name.as_str() {
            DEVICE => stored.device = Some(inherited::take(number)?),
            STATE => stored.state = Some(inherited::take(number)?),
            HANDOVER => stored.handover = Some(inherited::take(number)?),
            other => log::warn!(
                "closing the unknown stored descriptor {other:?} (does another program of this unit use FDSTORE=?)"
            ),
        }
    }
    Ok(stored)
}

/// Stores the descriptors.
pub(crate) fn put(
    device: &OwnedFd,
    state: &impl AsFd,
    handover: Option<BorrowedFd<'_>>,
) -> anyhow::Result<()> {
    let both = [(DEVICE, device.as_fd()), (STATE, state.as_fd())];
    let handover = handover.map(|memory| (HANDOVER, memory));
    for (name, descriptor) in both.into_iter().chain(handover) {
        sd_notify::notify_with_fds(
            &[
                NotifyState::FdStore,
                NotifyState::FdName(name),
                // Otherwise systemd drops it at once: before the mount, poll(2) on the device reports an error.
                NotifyState::Custom("FDPOLL=0"),
            ],
            &[descriptor],
        )?;
    }
    Ok(())
}

/// Empties the store.
pub(crate) fn clear() {
    for name in [DEVICE, STATE, HANDOVER] {
        super::tell(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]);
    }
}
