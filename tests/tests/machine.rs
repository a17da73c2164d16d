//! Tests that need root and /dev/fuse: real mounts, real cgroups, real namespaces, real tools.
//!
//! The same binary runs on the machine itself and in the VMs of each cgroup layout
//! (`cargo xtask test`).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in tests a panic is the report"
)]

/// Mounting and unmounting, errors of the command line, systemd.
#[path = "machine/mount.rs"]
mod mount;

/// The mount outlives the process that serves it.
#[path = "machine/outlives.rs"]
mod outlives;
/// An upgrade from the release before, and from one that is newer.
#[path = "machine/release_before.rs"]
mod release_before;
/// A worker that hangs in the kernel.
#[path = "machine/stuck.rs"]
mod stuck;

/// vistafs in the place of an OCI runtime.
#[path = "machine/oci_runtime.rs"]
mod oci_runtime;

/// Views in running containers.
#[path = "machine/attach.rs"]
mod attach;

/// The configuration is read anew.
#[path = "machine/reload.rs"]
mod reload;

/// Files that the configuration describes.
#[path = "machine/custom_files.rs"]
mod custom_files;

/// Views of plugins, of those that misbehave above all.
#[path = "machine/plugins.rs"]
mod plugins;

/// The example plugins.
#[path = "machine/plugin_examples.rs"]
mod plugin_examples;

/// One supervisor gives the mount to another, in another process.
#[path = "machine/succession.rs"]
mod succession;

/// What the files are like: modes, writes, seeks, everything that is not their text.
#[path = "machine/files.rs"]
mod files;

/// Ways to read: sizes, offsets, kept and passed descriptors, readers that vanish.
#[path = "machine/reading.rs"]
mod reading;

/// One static file, where there is nothing else.
#[path = "machine/static_program.rs"]
mod static_program;

/// vistafs in the place of lxcfs, with lxcfs itself as a witness.
#[path = "machine/lxcfs.rs"]
mod lxcfs;

/// Requests that a dead worker has left unanswered.
#[path = "machine/redo.rs"]
mod redo;

/// Which container a caller is in.
#[path = "machine/identity.rs"]
mod identity;

/// What the views show, with the tools that people use as witnesses.
#[path = "machine/views.rs"]
mod views;

/// Block I/O, on a disk made of a file.
#[path = "machine/disks.rs"]
mod disks;
/// `/sys/devices/system/cpu` and `node` in containers, with the tools that read them as witnesses.
#[path = "machine/sys_trees.rs"]
mod sys_trees;

/// CPU numbers: those that the kernel reports to threads, and the memory that programs size by `possible`.
#[path = "machine/cpu_numbers.rs"]
mod cpu_numbers;

/// Who reads what: the number of CPUs and the size of memory, program by program.
#[path = "machine/who_reads.rs"]
mod who_reads;

/// CPU time: exact, and never backwards.
#[path = "machine/cpu_time.rs"]
mod cpu_time;

/// Load averages, and what sampling them costs.
#[path = "machine/loadavg.rs"]
mod loadavg;

/// A container's load averages beside the kernel's of the same time.
#[path = "machine/kernel_load.rs"]
mod kernel_load;
/// `proc/pressure`: the text, what may be written, and who is let to.
#[path = "machine/pressure.rs"]
mod pressure;

/// Triggers under real pressure: who is woken, how often, and what is left.
#[path = "machine/triggers.rs"]
mod triggers;

/// The cgroup tree: what containers find in it, and what they may do.
#[path = "machine/cgroup_tree.rs"]
mod cgroup_tree;

/// The cgroup tree under those who want out of their container.
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

/// What contrib/doc tells container hosts to type: CDI, hooks, LXC, nspawn.
#[path = "machine/pages.rs"]
mod pages;
/// What they tell people to type, with Podman.
#[path = "machine/podman.rs"]
mod podman;

/// `vistafs repair`: everything has died, and the containers go on.
#[path = "machine/repair.rs"]
mod repair;

/// `vistafs repair` among containers that are against it.
#[path = "machine/repair_hostile.rs"]
mod repair_hostile;

/// Nothing is done while nothing is asked for.
#[path = "machine/idle.rs"]
mod idle;

/// What containers cost while they are known, and what is left of them.
#[path = "machine/memory.rs"]
mod memory;

/// What one container does, no other container may feel.
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

/// Containers' own files: what the page cache serves.
#[path = "machine/page_cache.rs"]
mod page_cache;

/// Page-cached files of views that are made up: contents of many pages, and such that grow.
#[path = "machine/page_cache_texts.rs"]
mod page_cache_texts;

/// What many readers of one container do to another.
#[path = "machine/neighbours.rs"]
mod neighbours;

/// The page-cache tree: files that the kernel opens without asking.
#[path = "machine/page_cache_tree.rs"]
mod page_cache_tree;

/// What the page-cache tree outlives: containers, workers, supervisors, everything.
#[path = "machine/page_cache_outlives.rs"]
mod page_cache_outlives;
