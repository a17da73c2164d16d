//! Tests that change the machine: swap, services, cgroups beside systemd's.
//!
//! They run only in the VMs of the cgroup layouts, one at a time (`cargo xtask test --only vm`).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in tests a panic is the report"
)]

/// systemd in containers whose cgroup tree is the view `cgroup`.
#[path = "guest/cgroup_tree.rs"]
mod cgroup_tree;
/// Readers in an LXC container that has the views.
#[path = "guest/readers.rs"]
mod readers;
/// `vistafs repair` of an LXC container.
#[path = "guest/repair.rs"]
mod repair;
/// Real swap on a compressed RAM disk.
#[path = "guest/swap.rs"]
mod swap;

/// The Debian packages: install, upgrade under a running container, remove and purge.
#[path = "guest/packages.rs"]
mod packages;

/// The systemd unit.
#[path = "guest/service.rs"]
mod service;
