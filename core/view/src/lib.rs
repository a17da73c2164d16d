//! The contract of a view, and the registry of all views.
//!
//! A *view* is the provider of one file or one tree at a path below the mount. Its crate or plugin registers a
//! [`ViewSpec`]; the [`Registry`] checks all of them once at start and never changes afterwards;
//! for each reading the dispatcher gives the view a [`Context`].
//!
//! # Kinds of views
//! A [`View`] renders the text of one file, for containers only; by its default methods it may also
//! be written and polled. A [`TreeView`] serves a directory and all below it, for the host as well.
//! [`Provider`] is not exhaustive, so that a further kind changes no view that exists.
//!
//! | file | owns |
//! |---|---|
//! | `view.rs` | [`View`], and what can go wrong in one |
//! | `spec.rs` | [`ViewSpec`], [`Provider`], and where a view gets its numbers from |
//! | `options.rs` | a view's options, with their defaults |
//! | `tree.rs` | [`TreeView`], and the nodes of a tree |
//! | `aside.rs` | what stands in the place of a view that is put aside |
//! | `channel.rs` | [`Channel`]: what stands behind a file that is written to and polled |
//! | `context.rs` | [`Context`]: the container, the host and scratch space |
//! | `request.rs` | [`Request`]: who asks, and whose numbers he is shown |
//! | `policy.rs` | [`Policy`]: what holds for all views alike |
//! | `outside.rs` | [`Outside`] views, of plugins and of the configuration, beside the built-in ones |
//! | `registry.rs` | [`Registry`] |
//! | `nearest.rs` | names that are nearly right |
//! | `selection.rs` | [`Selection`]: what the administrator switched on and off |

mod aside;
mod channel;
mod context;
mod nearest;
mod options;
mod outside;
mod policy;
mod registry;
mod request;
mod selection;
mod spec;
mod tree;
mod view;

pub use channel::{Channel, MOST_LASTING};
pub use context::Context;
pub use inventory;
pub use nearest::nearest;
pub use options::{OptionError, OptionSpec, OptionValue, Options};
pub use outside::{Origin, Outside, OutsideViews, Refusal};
pub use policy::Policy;
pub use registry::{Registered, Registry, RegistryError, Status, registration_problem};
pub use request::{Asker, Request};
pub use rustix::io::Errno;
pub use selection::Selection;
pub use spec::{Provider, Source, ViewSpec};
pub use tree::{Access, Change, NodeAttributes, NodeId, NodeKind, TreeView, look_up};
pub use view::{View, ViewError};
pub use vistafs_cgroup::MemoryWanted;
pub use vistafs_container::{Lasting, words};
