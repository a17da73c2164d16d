//! Places views in the mount namespaces of containers.
//!
//! A container controls everything in its mount namespace, so nothing there is trusted: places are reached
//! by descriptor through file systems that the kernel itself implements, and mounts are identified
//! by the IDs that the kernel assigned.
//!
//! | file | owns |
//! |---|---|
//! | `binding.rs` | [`Binding`]: a view and its place |
//! | `oci.rs` | [`oci`]: containers that a runtime is creating, for the OCI and LXC hooks |
//! | `attach.rs` | [`attach`]: views in running containers |
//! | `repair.rs` | [`repair`]: replaces the dead views of running containers |
//! | `namespaces.rs` | lists the mount namespaces of the host |
//! | `table.rs` | the mounts of a namespace: which look like vistafs, which are covered |
//! | `connections.rs` | the user that mounted a FUSE file system |
//! | `walk.rs` | opens a mount point, through file systems of the kernel only |
//! | `live.rs` | the serving mount, and detached copies of its files |
//! | `cover.rs` | mounts over a file, and unmounts |
//! | `propagation.rs` | which namespaces receive a mount |
//! | `mount_point.rs` | removes a dead mount at the mount point of a new one |
//! | `protocol.rs` | the messages between a command and its worker |
//! | `work.rs` | passes namespaces to workers |
//! | `entry.rs` | enters namespaces, in a worker |
//! | `worker.rs` | the worker process, as its parent sees it |
//! | `kernel.rs` | two system calls without a library |

pub mod attach;
mod binding;
mod connections;
mod cover;
mod entry;
mod error;
mod kernel;
mod live;
mod mount_point;
mod namespaces;
pub mod oci;
mod propagation;
mod protocol;
pub mod repair;
mod table;
mod walk;
mod work;
mod worker;

pub use binding::{Binding, DEFAULT_MOUNT, MountName, OWN};
pub use error::{Error, Result};
pub use mount_point::clear_dead_mount;
pub use table::looks_like_ours;
