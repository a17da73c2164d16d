//! Tests that change the machine that they run on: swap, disks, CPUs that go and come, services.
//!
//! They run in the VMs of each cgroup layout alone, one at a time (`cargo xtask test --only vm`).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in tests a panic is the report"
)]

/// Real swap on a compressed RAM disk.
#[path = "guest/swap.rs"]
mod swap;

/// The unit for systemd.
#[path = "guest/service.rs"]
mod service;
