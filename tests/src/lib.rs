//! Helpers of the integration tests: a served mount, cgroups and containers on any layout.
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
//! | `role.rs` | functions of the test program that run as processes in containers |
//! | `arena.rs` | an attacked mount, a mount to compare with, and what the worker uses |
//! | `victim.rs` | a container that only reads, and how long its reads take |
//! | `attackers.rs` | the attacks |
//! | `raw.rs` | system calls that no library wraps |

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "in tests a panic is the report"
)]

pub mod arena;
pub mod attackers;
pub mod bundle;
pub mod cdi;
pub mod cgroup;
pub mod container;
pub mod crowd;
pub mod page;
pub mod plugins;
pub mod raw;
pub mod require;
pub mod role;
pub mod stop_at_end;
pub mod user_container;
pub mod victim;
pub mod vistafs;
