//! Placing views in the mount namespaces of containers.
//!
//! Everything in a container's mount namespace was made by the container, so nothing there is
//! trusted: places are reached by descriptor through file systems that the kernel itself answers
//! for, and mounts are matched by the numbers that the kernel gave them.
//!
//! | file | owns |
//! |---|---|
//! | `binding.rs` | [`Binding`]: a view and its place |
//! | `oci.rs` | [`oci`]: containers that a runtime is creating; used by the OCI and LXC hooks |
//! | `attach.rs` | [`attach`]: views in running containers |
//! | `repair.rs` | [`repair`]: live views over the dead ones of running containers |
//! | `namespaces.rs` | the mount namespaces of the host |
//! | `table.rs` | the mounts of a namespace: which look like vistafs, which are covered |
//! | `connections.rs` | the user that mounted a FUSE file system |
//! | `walk.rs` | the way to a mount point, through file systems of the kernel alone |
//! | `live.rs` | the mount that serves, and detached copies of its files |
//! | `cover.rs` | mounting on a place, and unmounting from it |
//! | `propagation.rs` | which namespaces a mount would reach as well |
//! | `mount_point.rs` | the dead mount in the way of a new one |
//! | `protocol.rs` | the messages between a command and its worker |
//! | `work.rs` | giving namespaces to workers |
//! | `entry.rs` | entering namespaces, in a worker |
//! | `worker.rs` | the process that enters namespaces, as its parent sees it |
//! | `kernel.rs` | two system calls that no library has |

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
