//! The kernel's text, read and written.
//!
//! One module per kernel file, or per *format* where many files share one. The crate does no I/O
//! and knows no machine: text comes in as bytes (a command name or a path need not be UTF-8), and
//! what depends on the machine, the page size say, is an argument.
//!
//! Properties of every module:
//! - no input makes it panic; numbers that do not fit are errors, never wrapped;
//! - parsers borrow from the text and allocate nothing on the way through, except where an item
//!   says so; errors hold a short copy of what was found;
//! - writers append to the buffer they are given;
//! - an iterator yields an error for a line that it cannot read, and goes on with the next one.
//!
//! Manual pages are named as Linux man-pages names them since it cut proc(5) into one page per
//! file; kernel documents by their path in the kernel tree.
#![forbid(unsafe_code)]

pub mod blkio;
pub mod cpu_columns;
pub mod cpu_lines;
pub mod cpu_mask;
pub mod cpu_set;
pub mod cpuacct;
pub mod cpuinfo;
pub mod device;
pub mod diskstats;
pub mod error;
mod fields;
pub mod flat_keyed;
pub mod id_map;
pub mod io_stat;
pub mod kstat;
pub mod limit;
mod line_reader;
pub mod loadavg;
pub mod meminfo;
pub mod mountinfo;
#[cfg(test)]
mod never_panics;
pub mod numa_stat;
pub mod number;
pub mod number_words;
pub mod partitions;
pub mod pid_cgroup;
pub mod pid_stat;
pub mod pid_status;
pub mod pressure;
pub mod quota;
pub mod schedstat;
pub mod single_value;
pub mod slabinfo;
pub mod stat;
pub mod swaps;
pub mod time_offsets;
pub mod uptime;
pub mod zoneinfo;

pub use cpu_set::CpuSet;
pub use device::{Device, IoCounts};
pub use error::ParseError;
pub use id_map::IdMap;
pub use limit::Limit;
