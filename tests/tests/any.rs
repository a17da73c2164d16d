//! Tests that run on any machine: without root, mounts or cgroups.
//!
//! They render views from hosts that are directories: captured ones (`tests/fixtures`) and small ones that a
//! test creates.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in tests a panic is the report"
)]

/// A host that is a directory, its container, and the contents of the views.
#[path = "any/captured.rs"]
mod captured;

/// A small host in a temporary directory.
#[path = "any/made_up.rs"]
mod made_up;

/// Budgets of containers: the unit and the documents agree with the constants.
#[path = "any/budgets.rs"]
mod budgets;

/// Lists a whole tree as one text, for golden files.
#[path = "any/listing.rs"]
mod listing;

/// Trees of CPUs and nodes on hosts with many of them.
#[path = "any/sys_trees.rs"]
mod sys_trees;

/// CPUs that a container cannot use.
#[path = "any/hidden_cpus.rs"]
mod hidden_cpus;

/// Every view of every captured host, compared with `tests/golden`.
#[path = "any/goldens.rs"]
mod goldens;

/// Invariants on every captured host, computed a second and simpler way.
#[path = "any/properties.rs"]
mod properties;

/// Effective limits of random cgroup trees against a naive model.
#[path = "any/limits_model.rs"]
mod limits_model;

/// Ways to corrupt a text.
#[path = "any/spoilt.rs"]
mod spoilt;

/// Kernel files that are empty, cut off, negative, huge or not text at all.
#[path = "any/bad_text.rs"]
mod bad_text;

/// Edge cases: a view that cannot show a true value fails.
#[path = "any/edges.rs"]
mod edges;

/// Runs the examples of contrib/doc/SEMANTICS.md.
#[path = "any/examples.rs"]
mod examples;

/// The tables of contrib/doc/SEMANTICS.md are complete, and correct for every captured host.
#[path = "any/semantics.rs"]
mod semantics;

/// The README's picture.
#[path = "any/picture.rs"]
mod picture;

/// The README's table of views, and the tests that it names.
#[path = "any/readme.rs"]
mod readme;

/// contrib/doc/ARCHITECTURE.md names exactly the crates and paths that exist.
#[path = "any/architecture.rs"]
mod architecture;

/// Document tables that are generated from the code.
#[path = "any/tables.rs"]
mod tables;

/// The cargo features for packagers.
#[path = "any/features.rs"]
mod features;

/// The tables of contrib/doc/CUSTOM_FILES.md.
#[path = "any/custom_files.rs"]
mod custom_files;

/// The packages of Debian, RPM and Alpine, and the services in them.
#[path = "any/packaging.rs"]
mod packaging;
/// Plugins: a built-in view as a plugin, and the example in PLUGIN_ABI.md.
#[path = "any/plugins.rs"]
mod plugins;

/// `tests/matrix.toml`: where each test runs.
#[path = "any/matrix.rs"]
mod matrix;
