//! The host's side: kernel files below `/proc` and `/sys`, processes, namespaces, clocks.
//!
//! This crate and `vistafs-cgroup` are the only ones that open kernel files. All paths start at
//! open directory descriptors, so a test can replace `/` with a captured host. This crate does not
//! know containers.
//!
//! | file | owns |
//! |---|---|
//! | `dir.rs` | an open directory, and files below it, without following links or `..` |
//! | `kept_file.rs` | a kernel file whose descriptor is cached |
//! | `kept_files.rs` | several files of one directory |
//! | `host_text.rs` | contents of one host file, read at most once per TTL |
//! | `host.rs` | the host: its files, page size and tick |
//! | `clock.rs` | the monotonic clock, or a test's |
//! | `process.rs` | facts about one process |
//! | `namespace.rs` | the namespaces of a task |
//! | `held_task.rs` | the namespaces of a task with frequent requests |
//! | `nsfs.rs` | ioctls on a namespace |
//! | `pid_namespace.rs` | the init of a pid namespace |
//! | `pid_translation.rs` | translation of process IDs between pid namespaces |
//! | `credentials.rs` | the caller's credentials, and acting with no more than these |
//! | `capability.rs` | running code without one of vistafs's own capabilities |
//! | `heap.rs` | returning freed memory to the kernel |
//! | `spawn.rs` | child processes and their inheritance |
//! | `descriptors.rs` | number of free descriptors |

mod capability;
mod clock;
mod credentials;
pub mod descriptors;
mod dir;
mod error;
pub mod heap;
mod held_task;
mod host;
mod host_text;
mod kept_file;
mod kept_files;
mod namespace;
mod nsfs;
mod pid_namespace;
mod pid_translation;
mod process;
mod spawn;

pub use capability::without_sys_resource;
pub use clock::Clock;
pub use credentials::{Credentials, Owner};
pub use dir::{Dir, DirEntry, FileKind, FileStat};
pub use error::{HostError, last_errno};
pub use held_task::HeldTask;
pub use host::{FixedFacts, Host};
pub use host_text::Reading;
pub use kept_file::{Kept, KeptFile, Shape, read_whole};
pub use kept_files::{FileSpec, KeptFiles};
pub use namespace::{HeldNamespace, NamespaceKey, NamespaceKind};
pub use pid_translation::PidTranslation;
pub use process::Process;
pub use spawn::{Inherited, spawn};
