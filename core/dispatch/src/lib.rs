//! From a FUSE request to a view and back.
//!
//! Everything but `fuse.rs` and `redo.rs` is free of fuser, so that the dispatcher can be driven without a mount.
//!
//! | file | owns |
//! |---|---|
//! | `fuse.rs` | converts requests and replies; catches panics; nothing else |
//! | `fuse/guard.rs` | what is around each request: its note, its turn, its cost, its panics |
//! | `dispatcher.rs` | what each operation does |
//! | `tree.rs` | the fixed tree below the mount, from the registry |
//! | `dispatcher/files.rs` | the same for open files: reading, writing, polling |
//! | `dispatcher/trees.rs` | the same for what tree views serve |
//! | `dispatcher/schedule.rs` | where a request runs: at once, or in its container's queue |
//! | `dispatcher/whom.rs` | the caller of a request, found out once |
//! | `dispatcher/own.rs` | the same for containers' own directories |
//! | `dispatcher/page_cache.rs` | the same for page-cached nodes |
//! | `own.rs` | containers' own directories: `self` and `c/ID/...` |
//! | `page_cache.rs` | page-cached nodes: contents that the kernel may keep for the TTL |
//! | `address.rs` | `at/<cgroup path>/...`: the same tree for a named container |
//! | `place.rs` | what a node number stands for |
//! | `number.rs` | node numbers: functions of (view path, container) |
//! | `open_files.rs` | open handles: view, container and text |
//! | `kept_text.rs` | what has been read of them, for the next process |
//! | `channel.rs` | files that are written to and polled; waking who waits for them |
//! | `abi.rs` | the part of the FUSE protocol that is not left to fuser |
//! | `redo.rs` | answers what dead workers have left unanswered |
//! | `interrupt.rs` | answers callers that are killed while they wait |
//! | `passing.rs` | which views pass the host's files to containers |
//! | `errno.rs` | the one place that maps errors to errno |
//! | `figures.rs` | counting requests, and how long they take |
//! | `metrics.rs` | `metrics`: the figures as a file |
//! | `complaints.rs` | telling the log about failures without flooding it |
//!
//! # Synchronization
//! The tree never changes. `open_files`, `own` and `page_cache` have tables that are looked into without a lock;
//! `address` locks one for a look-up, an insertion or a removal. Each open file has a lock of its own
//! around its text: it is held while a view renders, so nobody but readers of that very descriptor waits
//! for it; and one around its channel, held while that is opened. Order: a table, then nothing; an open
//! file's text or channel, then nothing of this crate.

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
