//! The nodes of the tree, and their numbers.
//!
//! A number is made of the GPU's first device, so it means the same in every worker.

use vistafs_plugin_sdk::view::{Errno, NodeAttributes, NodeId, NodeKind, ViewError};

use crate::gpus::Device;

/// The node of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    /// The directory of all GPUs.
    Top,
    /// The directory of the GPU that has this device first.
    Gpu(Device),
    /// The file in that.
    Information(Device),
}

impl Node {
    /// `None`: no node has that number.
    pub(crate) fn from_id(id: NodeId) -> Option<Self> {
        let number = id.get();
        if id == NodeId::TOP {
            return Some(Self::Top);
        }
        let device = Device {
            major: u32::try_from(number >> 33).ok()?,
            minor: u32::try_from(number >> 1 & u64::from(u32::MAX)).ok()?,
        };
        Some(if number & 1 == 0 {
            Self::Gpu(device)
        } else {
            Self::Information(device)
        })
    }

    /// # Errors
    /// ESTALE for a device that no kernel has.
    pub(crate) fn id(self) -> Result<NodeId, ViewError> {
        let number = |device: Device| u64::from(device.major) << 33 | u64::from(device.minor) << 1;
        let number = match self {
            Self::Top => 0,
            Self::Gpu(device) => number(device),
            Self::Information(device) => number(device) | 1,
        };
        NodeId::new(number).ok_or(ViewError::Answer(Errno::STALE))
    }

    pub(crate) fn kind(self) -> NodeKind {
        match self {
            Self::Top | Self::Gpu(_) => NodeKind::Directory,
            Self::Information(_) => NodeKind::File,
        }
    }

    /// # Errors
    /// As [`id`](Self::id).
    pub(crate) fn attributes(self) -> Result<NodeAttributes, ViewError> {
        let kind = self.kind();
        Ok(NodeAttributes {
            id: self.id()?,
            kind,
            mode: if kind == NodeKind::File { 0o444 } else { 0o555 },
            uid: 0,
            gid: 0,
            size: 0,
            // Another caller may not see it.
            lasting: false,
            changeable: false,
        })
    }
}
