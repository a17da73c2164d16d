//! Tests that need root and /dev/fuse: real mounts, real cgroups, real namespaces, real tools.
//!
//! The same binary runs on the machine itself and in the VMs of each cgroup layout
//! (`cargo xtask test`).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in tests a panic is the report"
)]

/// Mounting and unmounting, command line errors, systemd.
#[path = "machine/mount.rs"]
mod mount;

/// The mount outlives the process that serves it.
#[path = "machine/outlives.rs"]
mod outlives;
/// Upgrades from the previous release, and from a newer one.
#[path = "machine/release_before.rs"]
mod release_before;
/// A worker that hangs in the kernel.
#[path = "machine/stuck.rs"]
mod stuck;

/// vistafs as an OCI runtime.
#[path = "machine/oci_runtime.rs"]
mod oci_runtime;

/// vistafs as an NRI plugin of a made-up runtime.
#[path = "machine/nri.rs"]
mod nri;

/// Views in running containers.
#[path = "machine/attach.rs"]
mod attach;

/// Reloading the configuration.
#[path = "machine/reload.rs"]
mod reload;

/// `[[file]]` tables of the configuration.
#[path = "machine/custom_files.rs"]
mod custom_files;

/// Views of plugins, in particular of faulty ones.
#[path = "machine/plugins.rs"]
mod plugins;

/// The example plugins.
#[path = "machine/plugin_examples.rs"]
mod plugin_examples;

/// One supervisor hands the mount over to another process.
#[path = "machine/succession.rs"]
mod succession;

/// Properties of the files: modes, writes, seeks, everything except their contents.
#[path = "machine/files.rs"]
mod files;

/// Ways to read: sizes, offsets, kept and passed descriptors, readers that disappear.
#[path = "machine/reading.rs"]
mod reading;

/// The static binary in an empty root file system.
#[path = "machine/static_program.rs"]
mod static_program;

/// vistafs as a replacement for lxcfs, compared with lxcfs itself where it is installed.
#[path = "machine/lxcfs.rs"]
mod lxcfs;

/// Unanswered requests of a dead worker.
#[path = "machine/redo.rs"]
mod redo;

/// Finding the caller's container.
#[path = "machine/identity.rs"]
mod identity;

/// The contents of the views, compared with common tools.
#[path = "machine/views.rs"]
mod views;

/// Block I/O on a loop device.
#[path = "machine/disks.rs"]
mod disks;
/// `/sys/devices/system/cpu` and `node` in containers, compared with the tools that read them.
#[path = "machine/sys_trees.rs"]
mod sys_trees;

/// CPU numbers that the kernel reports to threads, and memory that programs size by `possible`.
#[path = "machine/cpu_numbers.rs"]
mod cpu_numbers;

/// Where programs read the number of CPUs and the size of memory.
#[path = "machine/who_reads.rs"]
mod who_reads;

/// CPU time: exact and monotonic.
#[path = "machine/cpu_time.rs"]
mod cpu_time;

/// Load averages, and the cost of sampling them.
#[path = "machine/loadavg.rs"]
mod loadavg;

/// A container's load averages, compared with the kernel's.
#[path = "machine/kernel_load.rs"]
mod kernel_load;
/// `proc/pressure`: contents, writes and permissions.
#[path = "machine/pressure.rs"]
mod pressure;

/// Triggers under real pressure: wake-ups, their number, and leftovers.
#[path = "machine/triggers.rs"]
mod triggers;

/// The cgroup tree: contents and permitted operations.
#[path = "machine/cgroup_tree.rs"]
mod cgroup_tree;

/// The cgroup tree under attack by callers that try to leave their container.
#[path = "machine/cgroup_tree_hostile.rs"]
mod cgroup_tree_hostile;

/// The cgroup tree under load: many containers, many processes, many look-ups.
#[path = "machine/cgroup_tree_load.rs"]
mod cgroup_tree_load;

/// `at/`, `vistafs show` and `vistafs views`.
#[path = "machine/address.rs"]
mod address;

/// `vistafs doctor`.
#[path = "machine/doctor.rs"]
mod doctor;

/// `vistafs run`.
#[path = "machine/run.rs"]
mod run;

/// A real runtime with bind mounts: runc.
#[path = "machine/runtime.rs"]
mod runtime;

/// The commands for container hosts in contrib/doc: CDI, hooks, LXC, nspawn.
#[path = "machine/pages.rs"]
mod pages;
/// The commands for users in contrib/doc, with Podman.
#[path = "machine/podman.rs"]
mod podman;

/// `vistafs repair`: everything has died, and the containers continue.
#[path = "machine/repair.rs"]
mod repair;

/// `vistafs repair` with hostile containers.
#[path = "machine/repair_hostile.rs"]
mod repair_hostile;

/// An idle mount uses no CPU time.
#[path = "machine/idle.rs"]
mod idle;

/// Memory per container, and memory left after containers end.
#[path = "machine/memory.rs"]
mod memory;

/// No container can affect another one.
#[path = "machine/isolation.rs"]
mod isolation;

/// Callers that are killed while they wait.
#[path = "machine/killed_callers.rs"]
mod killed_callers;

/// `metrics` and `vistafs status`.
#[path = "machine/metrics.rs"]
mod metrics;

/// Leases on shared files.
#[path = "machine/leases.rs"]
mod leases;

/// Containers' own files: contents served from the page cache.
#[path = "machine/page_cache.rs"]
mod page_cache;

/// Page-cached files of test views: contents of many pages, and growing contents.
#[path = "machine/page_cache_texts.rs"]
mod page_cache_texts;

/// Many readers of one container beside another container.
#[path = "machine/neighbours.rs"]
mod neighbours;

/// The page-cache tree: files that the kernel opens without a request.
#[path = "machine/page_cache_tree.rs"]
mod page_cache_tree;

/// The page-cache tree survives the end of containers, workers and supervisors.
#[path = "machine/page_cache_outlives.rs"]
mod page_cache_outlives;
