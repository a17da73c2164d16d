//! Loads plugins and isolates the rest of vistafs from their faults.
//!
//! A plugin is code that root has installed, and runs in the worker without a sandbox. But it may
//! be faulty, and its faults must not affect anything else:
//!
//! - it is checked in this order: write access to its file and directory, the entry function, the
//!   version of its tables, the tables. One log line reports each refusal;
//! - it is loaded by the checked descriptor, and never unloaded;
//! - each call has a time limit, and runs on a thread that may be abandoned;
//! - its output has a size limit;
//! - a signal in it ends the worker; [`load`] reports each file before it loads it, so that the
//!   supervisor knows the faulty one.
//!
//! | file | owns |
//! |---|---|
//! | `load.rs` | [`load`]: from directories to views |
//! | `trust.rs` | owner of a file, and write access to it |
//! | `library.rs` | loading a file, and calling its entry function |
//! | `table.rs` | reading C tables |
//! | `record.rs` | [`Record`]: a plugin's description of a view, and its checks |
//! | `lane.rs` | calls with a time limit |
//! | `scene.rs` | the data behind the context of a call |
//! | `sink.rs` | the output of a call |
//! | `functions.rs` | the functions that vistafs offers to plugins |
//! | `facts.rs` | the functions that fill in facts |
//! | `fill.rs` | filling in tables that a plugin passes |
//! | `memory.rs` | state that plugins attach to containers |
//! | `plugin.rs` | a loaded plugin, and its log |
//! | `call.rs` | a call of a view function |
//! | `file.rs`, `tree.rs`, `channel.rs` | adapters of plugins' views |

#![allow(
    unsafe_code,
    reason = "the one place where pointers of plugins are followed; each block is argued"
)]

mod call;
mod channel;
mod facts;
mod file;
mod fill;
mod functions;
mod lane;
mod library;
mod load;
mod memory;
mod plugin;
mod record;
mod scene;
mod sink;
mod table;
mod tree;
mod trust;

pub use load::{Found, Limits, Refused, Rules, Watch, load};
pub use record::{OptionRecord, Record};
pub use table::Problem;
