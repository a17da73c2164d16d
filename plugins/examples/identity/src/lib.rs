//! Shows a container who it is: its name, its cgroups, what it may use and what it does use.
//!
//! Two files with the same content, `proc/container` for people and `proc/container.json` for programs.
//! A process on the host reads that it is in no container: `none`, and `null`.
//!
//! | file | owns |
//! |---|---|
//! | `view.rs` | the two views |
//! | `identity.rs` | the values and their sources |
//! | `text.rs` | the text for people |

mod identity;
mod text;
mod view;

vistafs_plugin_sdk::export_views!("identity", "identity-json");
