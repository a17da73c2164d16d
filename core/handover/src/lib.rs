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
//! | `asleep.rs` | a supervisor that sleeps while there are none |
//! | `texts.rs` | what has been shown through open handles |
//! | `addresses.rs` | what node numbers stand for |
//! | `pollers.rs` | who waits to be woken |
//! | `records.rs` | what is remembered of containers |
//! | `records/slots.rs` | where that is: slots of several sizes |
//! | `records/before.rs` | where layout 1 has it |
//! | `written.rs` | what was written into open files and must be written anew |
//! | `slot_file.rs` | [`SlotFile`]: the supervisor's own state, which is no part of the memory |
//!
//! # Use
//! The supervisor makes the memory ([`Handover::create`]) and gives its descriptor to each worker. A
//! worker adopts it ([`Handover::adopt`]), says that it serves from now on
//! ([`Handover::begin_generation`]) before it makes anything that uses the memory, and sees to what is
//! unfinished before it reads requests: [`Handover::leave_unfinished`] where the kernel sends them
//! again, else [`Handover::take_over_unfinished`]. The worker before it must be dead by then, or have
//! stopped: two that serve at the same time would show two texts through one handle.
//!
//! # Layout 2.0
//! Words of 64 bits, little-endian; two numbers in one word are upper half, lower half.
//!
//! | byte | what |
//! |---|---|
//! | 0 | "vistafsh" |
//! | 8 | major version, minor version |
//! | 16 | generation of the last worker |
//! | 24 | R: how many bytes a record of a container may have, by the number of CPUs |
//! | 32 | 1: the supervisor sleeps, and the next request wakes it; who does not know of it leaves it |
//! | 40 | into how many open files something was written that lasts, at most |
//! | 4,096 | 1,024 requests of 256 bytes |
//! | 266,240 | 65,536 open handles of 16 bytes |
//! | 1,314,816 | 1,056 heads of texts of 32 bytes |
//! | 1,348,608 | 1,024 texts of 16 KiB |
//! | 18,125,824 | 32 texts of 512 KiB |
//! | 34,903,040 | 4,096 addresses of 512 bytes |
//! | 37,000,192 | 1,024 open files that somebody waits for, of 8 bytes |
//! | 37,011,456 | 4,096 heads of containers of 64 bytes |
//! | 37,273,600 | 16,384 places of 128 bytes for what was written into open files |
//! | 39,370,752 | 4,096 slots and some more of each size, for records of containers |
//!
//! A slot is taken by a record of at most half its size, less 40 bytes; a container may have six. So records lie
//! side by side, the lowest free slot first: a thousand containers take some hundred pages.
//!
//! The kernel gives memory to those pages alone that were written. So the memory must not be locked
//! as a whole.
//!
//! A later minor version puts more behind the end, or into words that are zero here; so both may
//! take over from each other. A test holds all places fixed.
//!
//! ## Layout 1
//! Its heads of containers begin at byte 37,008,384, and from 37,270,528 on each container has six records of 16 + 2 x
//! (32 + R) bytes to itself, which made three or four pages of it. Behind them 1.1 has what was written, and 1.0
//! nothing. Memory of a supervisor that was started then is used as it is.
//!
//! # Synchronization
//! No lock is ever held in this memory: whoever held it could be killed. A slot is claimed by a
//! compare-and-exchange and published by a store that releases what was stored before.

mod addresses;
mod asleep;
mod error;
mod handover;
mod layout;
mod pollers;
mod records;
mod region;
mod requests;
mod slot_file;
mod texts;
mod written;

pub use error::HandoverError;
pub use handover::Handover;
pub use records::ContainerKey;
pub use requests::{InFlight, Request, SENT_AGAIN, Unfinished};
pub use slot_file::{LONGEST_TEXT, SlotFile, SlotFileError};
pub use texts::{OpenHandle, SMALL_TEXT, Shown};
pub use written::MOST_WRITTEN;
