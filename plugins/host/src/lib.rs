//! Loads plugins, and stands between them and the rest of vistafs.
//!
//! A plugin is code that root has installed, and runs in the worker: it is not kept from anything. But it
//! may be faulty, and its faults must not affect anything else:
//!
//! - what it is, is checked in this order: who may write to its file and directory, whether it exports the
//!   entry function, the version of its tables, the tables. One log line reports each refusal;
//! - it is loaded by the descriptor that was checked, and never unloaded;
//! - each call of it has a limit of time, and runs on a thread that may be left behind;
//! - what it writes has a limit of size;
//! - a signal in it ends the worker, and [`load`] says beforehand which file it comes to, for whoever
//!   starts the next one.
//!
//! | file | owns |
//! |---|---|
//! | `load.rs` | [`load`]: from directories to views |
//! | `trust.rs` | whose a file is, and who may write to it |
//! | `library.rs` | loading a file, and calling its entry function |
//! | `table.rs` | reading tables of C |
//! | `record.rs` | [`Record`]: what a plugin says of a view, and what of that can be served |
//! | `lane.rs` | calls with a limit of time |
//! | `scene.rs` | the data behind the context of a call |
//! | `sink.rs` | where a call writes |
//! | `functions.rs` | the functions that vistafs gives plugins |
//! | `facts.rs` | the functions that fill in facts |
//! | `fill.rs` | filling in tables that a plugin hands over |
//! | `memory.rs` | what plugins remember of containers |
//! | `plugin.rs` | a plugin that is loaded, and its log |
//! | `call.rs` | a call of a function of a view |
//! | `file.rs`, `tree.rs`, `channel.rs` | plugins' views, as everybody else's |

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
