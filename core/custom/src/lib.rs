//! Files that the configuration describes, without code: `[[file]]`.
//!
//! A [`CustomFile`] is a view. It shows a template with values of the container, a file of the
//! host, a file of the container's own cgroup, or the output of a command. Callers on the host see
//! the same with the host's values.
//!
//! Root's configuration is trusted. Readers are not; they decide only when the contents are
//! generated.
//!
//! | file | owns |
//! |---|---|
//! | `file.rs` | [`CustomFile`] and its checks |
//! | `scene.rs` | the source of values: container or host |
//! | `template.rs` | templates |
//! | `values.rs` | the values: names, meanings, sources |
//! | `host_file.rs` | a file of the host |
//! | `cgroup_file.rs` | a file of the container's cgroup |
//! | `command.rs` | the cached output of a command |
//! | `guard.rs` | dropping privileges before a command |

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
