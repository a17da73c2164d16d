//! Files that the configuration describes, without code: `[[file]]`.
//!
//! A [`CustomFile`] is a view like others. It shows one of: a text with values of the container
//! filled in, a file of the host, a file of the container's own cgroup, what a command prints. To
//! callers on the host it shows the same of the host.
//!
//! What is described here comes from root's configuration and is trusted as such; who reads is not,
//! and decides nothing but when it is made.
//!
//! | file | owns |
//! |---|---|
//! | `file.rs` | [`CustomFile`], and what may be described |
//! | `scene.rs` | whose numbers are shown |
//! | `template.rs` | texts with values in them |
//! | `values.rs` | the values: names, meaning, where they are from |
//! | `host_file.rs` | a file of the host |
//! | `cgroup_file.rs` | a file of the container's cgroup |
//! | `command.rs` | what a command prints, kept for a while |
//! | `guard.rs` | what a command may not keep of vistafs |

mod cgroup_file;
mod command;
mod file;
pub mod guard;
mod host_file;
mod scene;
mod template;
mod values;

pub use cgroup_file::CgroupFile;
pub use command::{Command, CommandSpec, check_command};
pub use file::{Content, CustomFile, Refusal};
pub use host_file::HostFile;
pub use template::{Template, TemplateError};
pub use values::{FILTERS, VALUES, Value};
