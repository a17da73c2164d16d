//! State that outlives a worker: memory that the supervisor shares with its workers.
//!
//! A worker may be killed at any instruction. The supervisor and the next worker, possibly of
//! another version of vistafs, read the state that it left. So each record is written in an order
//! that reveals an incomplete record, which is then skipped.
//!
//! | file | owns |
//! |---|---|
//! | `handover.rs` | [`Handover`]: creation, adoption, generations of workers |
//! | `region.rs` | the memory as atomic words; all unsafe code |
//! | `layout.rs` | the offsets |
//! | `requests.rs` | requests in flight |
//! | `asleep.rs` | a supervisor that sleeps while no request is in flight |
//! | `texts.rs` | contents shown through open handles |
//! | `addresses.rs` | paths of the nodes of named containers |
//! | `pollers.rs` | files with waiters in poll(2) |
//! | `records.rs` | persistent state of containers |
//! | `records/slots.rs` | its location: slots of several sizes |
//! | `records/before.rs` | its location in layout 1 |
//! | `written.rs` | state written into open files, which the next worker writes again |
//! | `slot_file.rs` | [`SlotFile`]: the supervisor's own state, outside the shared memory |
//!
//! # Use
//! The supervisor creates the memory ([`Handover::create`]) and passes its descriptor to each
//! worker. A worker adopts it ([`Handover::adopt`]), starts its generation
//! ([`Handover::begin_generation`]) before it creates anything that uses the memory, and handles
//! unfinished requests before it reads new ones: [`Handover::leave_unfinished`] where the kernel
//! resends them, else [`Handover::take_over_unfinished`]. The previous worker must be dead or
//! stopped by then: two serving workers would show two texts through one handle.
//!
//! # Layout 2.0
//! Words of 64 bits, little-endian; two numbers in one word are upper half, lower half.
//!
//! | byte | what |
//! |---|---|
//! | 0 | "vistafsh" |
//! | 8 | major version, minor version |
//! | 16 | generation of the last worker |
//! | 24 | R: capacity of a container's record in bytes, by the number of CPUs |
//! | 32 | 1: the supervisor sleeps, and the next request wakes it; older versions leave it unchanged |
//! | 40 | upper bound on the number of open files with written state |
//! | 4,096 | 1,024 requests of 256 bytes |
//! | 266,240 | 65,536 open handles of 16 bytes |
//! | 1,314,816 | 1,056 heads of texts of 32 bytes |
//! | 1,348,608 | 1,024 texts of 16 KiB |
//! | 18,125,824 | 32 texts of 512 KiB |
//! | 34,903,040 | 4,096 addresses of 512 bytes |
//! | 37,000,192 | 1,024 open files with waiters, of 8 bytes |
//! | 37,011,456 | 4,096 heads of containers of 64 bytes |
//! | 37,273,600 | 16,384 places of 128 bytes for state written into open files |
//! | 39,370,752 | 4,096 slots and some more of each size, for records of containers |
//!
//! A record occupies a slot of at least twice its size plus 40 bytes; a container has at most six.
//! The lowest free slot is used first, so records are adjacent: a thousand containers use some
//! hundred pages.
//!
//! The kernel allocates only pages that were written. So the memory must not be locked as a whole.
//!
//! A later minor version adds fields after the end, or in words that are zero here, so both
//! versions can adopt each other's memory. A test pins all offsets.
//!
//! ## Layout 1
//! The heads of containers begin at byte 37,008,384, and from 37,270,528 each container has six
//! records of 16 + 2 x (32 + R) bytes, which occupied three or four pages. 1.1 appends written
//! state; 1.0 has none. Memory of an older supervisor is used unchanged.
//!
//! # Synchronization
//! No lock is held in this memory: its holder could be killed. A slot is claimed by
//! compare-and-exchange and published by a release store.

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
