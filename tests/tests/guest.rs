//! Tests that change the machine that they run on: swap, services, cgroups beside systemd's.
//!
//! They run in the VMs of each cgroup layout alone, one at a time (`cargo xtask test --only vm`).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in tests a panic is the report"
)]

/// systemd in containers whose cgroup tree is the view's.
#[path = "guest/cgroup_tree.rs"]
mod cgroup_tree;
/// A container of LXC that has the views, and those who read in it.
#[path = "guest/readers.rs"]
mod readers;
/// `vistafs repair` of a container of LXC.
#[path = "guest/repair.rs"]
mod repair;
/// Real swap on a compressed RAM disk.
#[path = "guest/swap.rs"]
mod swap;

/// The Debian packages: installed, upgraded under a container, removed and purged.
#[path = "guest/packages.rs"]
mod packages;

/// The unit for systemd.
#[path = "guest/service.rs"]
mod service;
