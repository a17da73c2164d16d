//! Dispatches FUSE requests to views.
//!
//! Only `fuse.rs`, `fuse/guard.rs` and `redo.rs` use fuser: the dispatcher works without a mount.
//!
//! | file | owns |
//! |---|---|
//! | `fuse.rs` | converts requests and replies |
//! | `fuse/guard.rs` | the scope of a request: its record, its queue, its cost, its panics |
//! | `fuse/reply.rs` | converts results to replies, errors to errno |
//! | `dispatcher.rs` | the state that all requests share |
//! | `dispatcher/names.rs` | look-ups and listings of directories; the node of each inode |
//! | `dispatcher/attributes.rs` | the attributes of nodes |
//! | `tree.rs` | the fixed tree below the mount, from the registry |
//! | `dispatcher/files.rs` | operations on open files: open and read |
//! | `dispatcher/channels.rs` | operations on open files: write, poll, close |
//! | `dispatcher/trees.rs` | operations on tree views |
//! | `dispatcher/schedule/target.rs` | which container a request depends on, and what it may cost |
//! | `dispatcher/schedule.rs` | where a request runs: at once, or in its container's queue |
//! | `dispatcher/whom.rs` | the cached caller of a request |
//! | `dispatcher/own.rs` | operations on containers' own directories |
//! | `dispatcher/page_cache.rs` | operations on page-cached nodes |
//! | `own.rs` | containers' own directories: `self` and `c/ID/...` |
//! | `page_cache.rs` | page-cached nodes: contents that the kernel may cache for the TTL |
//! | `address.rs` | `at/<cgroup path>/...`: the same tree for a named container |
//! | `place.rs` | the decoded form of an inode number |
//! | `number.rs` | inode numbers: hashes of (view path, container) |
//! | `open_files.rs` | open handles: view, container and contents |
//! | `kept_text.rs` | contents that open files have returned, for a successor process |
//! | `channel.rs` | files that support write and poll; the wake-up of pollers |
//! | `abi.rs` | the part of the FUSE protocol that fuser does not implement |
//! | `redo.rs` | replies to unfinished requests of dead workers |
//! | `interrupt.rs` | replies to callers that are killed while they wait |
//! | `passing.rs` | passthrough of the host's files to containers |
//! | `errno.rs` | the only mapping of errors to errno |
//! | `figures.rs` | counters and latencies of requests |
//! | `metrics.rs` | `metrics`: the counters as a file |
//! | `complaints.rs` | the rate-limited log of failures |
//!
//! # Synchronization
//! The tree never changes. The tables of `open_files`, `own` and `page_cache` are read without a
//! lock; `address` locks one for a look-up, an insertion or a removal. Each open file has a lock
//! around its contents, held while a view renders, so only readers of that descriptor wait for it;
//! and a lock around its channel, held while that is opened. Lock order: no further lock of this
//! crate is taken under a table's lock, or under an open file's.

mod abi;
mod address;
mod channel;
mod complaints;
mod dispatcher;
mod errno;
mod figures;
mod fuse;
mod interrupt;
mod kept_text;
mod metrics;
mod number;
mod open_files;
mod own;
mod page_cache;
mod passing;
mod place;
mod redo;
mod tree;

pub use dispatcher::{Attributes, Dispatcher, Entry, PageCache};
pub use errno::DispatchError;
pub use fuse::VistaFs;
pub use interrupt::interrupt_killed;
pub use metrics::Supervision;
pub use page_cache::Freshness;
pub use redo::{redo_unfinished, wake_pollers};
