//! Tests that run on any machine: no root, no mount, no cgroup of their own.
//!
//! They render views from hosts that are directories: captured ones (`tests/fixtures`) and little
//! ones that a test makes up.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in tests a panic is the report"
)]

/// A host that is a directory, its container, and what the views show of it.
#[path = "any/captured.rs"]
mod captured;

/// A little host made up in a temporary directory.
#[path = "any/made_up.rs"]
mod made_up;

/// What containers may take of the daemon: the unit and the documents agree with it.
#[path = "any/budgets.rs"]
mod budgets;

/// A whole tree as one text, for golden files.
#[path = "any/listing.rs"]
mod listing;

/// Trees of CPUs and nodes on hosts with many of them.
#[path = "any/sys_trees.rs"]
mod sys_trees;

/// CPUs that a container cannot use.
#[path = "any/hidden_cpus.rs"]
mod hidden_cpus;

/// Views x captured hosts, compared with `tests/golden`.
#[path = "any/goldens.rs"]
mod goldens;

/// What must hold on every captured host, computed a second and simpler way.
#[path = "any/properties.rs"]
mod properties;

/// Effective limits of random cgroup trees against a naive model.
#[path = "any/limits_model.rs"]
mod limits_model;

/// Ways in which a text can be spoilt.
#[path = "any/spoilt.rs"]
mod spoilt;

/// Kernel files that are empty, cut off, negative, huge or not text at all.
#[path = "any/bad_text.rs"]
mod bad_text;

/// Where nothing true can be shown, the reader gets an error; and where it can, the truth.
#[path = "any/edges.rs"]
mod edges;

/// The examples of contrib/doc/SEMANTICS.md, run.
#[path = "any/examples.rs"]
mod examples;

/// The tables of contrib/doc/SEMANTICS.md: complete, and true of every captured host.
#[path = "any/semantics.rs"]
mod semantics;

/// The README's picture.
#[path = "any/picture.rs"]
mod picture;

/// The README's table of views, and what it says that tests show.
#[path = "any/readme.rs"]
mod readme;

/// contrib/doc/ARCHITECTURE.md names what is there, and only that.
#[path = "any/architecture.rs"]
mod architecture;

/// Tables of documents that are made from the code.
#[path = "any/tables.rs"]
mod tables;

/// The cargo features that packagers choose by.
#[path = "any/features.rs"]
mod features;

/// The tables of contrib/doc/CUSTOM_FILES.md.
#[path = "any/custom_files.rs"]
mod custom_files;

/// The packages of Debian, RPM and Alpine, and the services in them.
#[path = "any/packaging.rs"]
mod packaging;
/// Plugins: a built-in view, and the example of their document.
#[path = "any/plugins.rs"]
mod plugins;

/// Where each test runs.
#[path = "any/matrix.rs"]
mod matrix;
