//! Shows a container the GPUs that it may use, as a tree.
//!
//! ```text
//! proc/driver/gpus
//! └── nvidia0
//!     └── information
//! ```
//!
//! A GPU that the container may not use is not there: neither in the directory nor by its name. Processes
//! on the host see all of them.
//!
//! # Who may use what
//! With cgroup v1 the container's `devices.list` decides. With v2 a program in the kernel decides, which
//! cannot be asked: so the option `allow` says which cgroups have which GPUs, and a container of which it
//! says nothing is shown none, or all with `show_unknown`.
//!
//! | file | owns |
//! |---|---|
//! | `tree.rs` | the view, and who may see what of it |
//! | `node.rs` | the nodes of the tree, and their numbers |
//! | `gpus.rs` | the GPUs that the host has |
//! | `allowed.rs` | which devices a container may use |
//! | `devices_list.rs` | the text of `devices.list` |
//! | `rules.rs` | the option `allow` |

mod allowed;
mod devices_list;
mod gpus;
mod node;
mod rules;
mod tree;

vistafs_plugin_sdk::export_views!("gpu");
