//! The contract of a view, and the registry of all views.
//!
//! A *view* is the provider of one file at a path below the mount. Its crate or plugin registers a
//! [`ViewSpec`]; the [`Registry`] checks all of them once at start and never changes afterwards;
//! for each reading the dispatcher gives the view a [`Context`].
//!
//! # Adding a kind of view
//! What a view can do beyond being read (be written, be polled, be a tree) is reached through
//! default methods of [`View`] and further variants of [`Provider`], which is not exhaustive, so
//! that a new kind changes no view that exists.
//!
//! | file | owns |
//! |---|---|
//! | `view.rs` | [`View`], and what can go wrong in one |
//! | `spec.rs` | [`ViewSpec`], [`Provider`], and where a view gets its numbers from |
//! | `options.rs` | a view's options, with their defaults |
//! | `context.rs` | [`Context`]: the container, the host and scratch space |
//! | `policy.rs` | [`Policy`]: what holds for all views alike |
//! | `registry.rs` | [`Registry`] |
//! | `selection.rs` | [`Selection`]: what the administrator switched on and off |

mod context;
mod options;
mod policy;
mod registry;
mod selection;
mod spec;
mod view;

pub use context::Context;
pub use inventory;
pub use options::{OptionError, OptionSpec, OptionValue, Options};
pub use policy::Policy;
pub use registry::{Registered, Registry, RegistryError, Status};
pub use selection::Selection;
pub use spec::{Provider, Source, ViewSpec};
pub use view::{View, ViewError};
