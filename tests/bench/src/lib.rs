//! Benchmarks without a mount: renderings of captured hosts, and parsers of kernel files.
//!
//! | file | owns |
//! |---|---|
//! | `captured.rs` | a captured host and its container, and rendering a view of it |
//! | `many_cpus.rs` | a captured host with any number of CPUs |
//! | `parsers.rs` | each parser with its input |
//! | `allocations.rs` | a counting allocator |
//!
//! The micro-benchmarks measure their time (`benches/`), and a test counts their instructions
//! (`tests/instructions.rs`, through `render.rs` of the program).

pub mod allocations;
pub mod captured;
pub mod many_cpus;
pub mod parsers;
