//! What is measured without a mount: renderings of captured hosts, and parsers of the kernel's texts.
//!
//! | file | owns |
//! |---|---|
//! | `captured.rs` | a captured host and its container, and rendering a view of it |
//! | `many_cpus.rs` | a captured host with as many CPUs as it takes |
//! | `parsers.rs` | each parser with a text that is there for it |
//! | `allocations.rs` | an allocator that counts |
//!
//! The micro-benchmarks take times of them (`benches/`), and the guard counts their instructions
//! (`tests/instructions.rs`, by way of `render.rs` of the program).

pub mod allocations;
pub mod captured;
pub mod many_cpus;
pub mod parsers;
