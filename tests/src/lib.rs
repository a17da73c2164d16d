//! What the integration tests share: a served mount, cgroups and containers on any layout.
//!
//! | file | owns |
//! |---|---|
//! | `require.rs` | saying aloud that a test cannot run here |
//! | `stop_at_end.rs` | threads that end together |
//! | `vistafs.rs` | the program under test: commands, and a mount that unmounts itself |
//! | `cgroup.rs` | a cgroup in every hierarchy, whatever the layout, that removes itself |
//! | `crowd.rs` | idle processes in no container |
//! | `bundle.rs` | a container for an OCI runtime |
//! | `cdi.rs` | a strict reader of CDI files |
//! | `plugins.rs` | a directory of plugins |
//! | `page.rs` | blocks of pages that tests use as they are written |
//! | `container.rs` | processes in namespaces and cgroups of their own |
//! | `user_container.rs` | the same in a user namespace |

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "in tests a panic is the report"
)]

pub mod bundle;
pub mod cdi;
pub mod cgroup;
pub mod container;
pub mod crowd;
pub mod page;
pub mod plugins;
pub mod require;
pub mod stop_at_end;
pub mod user_container;
pub mod vistafs;
