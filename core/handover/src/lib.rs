//! What outlives a worker process: memory that the supervisor shares with its workers.
//!
//! A worker may be killed at any instruction. What it leaves behind here is read by the supervisor
//! and by the next worker, which may be of another version of vistafs. So each record is written in
//! an order in which a half-written one is recognised, and is passed over then.
//!
//! | file | owns |
//! |---|---|
//! | `handover.rs` | [`Handover`]: making it, taking it over, generations of workers |
//! | `region.rs` | the memory as atomic words; all that is unsafe |
//! | `layout.rs` | where everything is |
//! | `requests.rs` | requests in flight |
//!
//! # Layout 1.0
//! Words of 64 bits, little-endian; two numbers in one word are upper half, lower half.
//!
//! | byte | what |
//! |---|---|
//! | 0 | "vistafsh" |
//! | 8 | major version, minor version |
//! | 16 | generation of the last worker |
//! | 4,096 | 1,024 requests of 256 bytes |
//!
//! A later minor version puts more behind the end, or into words that are zero here; so both may
//! take over from each other. A test holds all places fixed.
//!
//! # Synchronization
//! No lock is ever held in this memory: whoever held it could be killed. A slot is claimed by a
//! compare-and-exchange and published by a store that releases what was stored before.

mod error;
mod handover;
mod layout;
mod region;
mod requests;

pub use error::HandoverError;
pub use handover::Handover;
pub use requests::{InFlight, Request, Unfinished};
