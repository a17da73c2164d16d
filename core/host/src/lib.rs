//! The host's side of the truth: kernel texts below `/proc` and `/sys`, processes, namespaces, clocks.
//!
//! This crate and `vistafs-cgroup` are the only ones that open kernel files. Everything is reached
//! from directory descriptors that are held, so that a test can put a captured host in the place
//! of `/`. Nothing here knows what a container is.
//!
//! | file | owns |
//! |---|---|
//! | `dir.rs` | a held directory, and what is below it, without following links or `..` |
//! | `kept_file.rs` | one kernel file that stays open and is read with `pread` |
//! | `kept_files.rs` | several of one directory |
//! | `host_text.rs` | one host text, read at most once an epoch |
//! | `host.rs` | the host: its texts, page size, tick and clock |
//! | `process.rs` | facts about one process |
//! | `namespace.rs` | which namespaces a task is in |
//! | `held_task.rs` | the namespaces of a task that asks again and again |
//! | `nsfs.rs` | the questions that the kernel answers about a namespace |
//! | `pid_namespace.rs` | the init of a pid namespace |
//! | `pid_translation.rs` | process numbers of one pid namespace in terms of another |
//! | `credentials.rs` | what a caller may do, and doing something with no more than that |
//! | `capability.rs` | doing something without one of our own capabilities |
//! | `heap.rs` | freed memory, given back |
//! | `spawn.rs` | child processes, and what they inherit |
//! | `descriptors.rs` | how many descriptors there are left |

mod capability;
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
