//! The contract of a view, and the registry of all views.
//!
//! A *view* is the provider of one file or one tree at a path below the mount. Its crate or plugin registers a
//! [`ViewSpec`]; the [`Registry`] checks all of them once at start and never changes afterwards;
//! for each reading the dispatcher gives the view a [`Context`].
//!
//! # Kinds of views
//! A [`View`] renders one file, for containers only; through its default methods it may also be
//! written and polled. A [`TreeView`] serves a directory and its contents, for the host as well.
//! [`Provider`] is not exhaustive, so that a further kind changes no existing view.
//!
//! | file | owns |
//! |---|---|
//! | `view.rs` | [`View`] and its errors |
//! | `spec.rs` | [`ViewSpec`], [`Provider`], and the sources of a view |
//! | `options.rs` | a view's options, with their defaults |
//! | `tree.rs` | [`TreeView`], and the nodes of a tree |
//! | `aside.rs` | the provider that replaces a disabled view |
//! | `channel.rs` | [`Channel`]: the object behind a file that is written to and polled |
//! | `context.rs` | [`Context`]: the container, the host and scratch space |
//! | `request.rs` | [`Request`]: the caller and its container |
//! | `policy.rs` | [`Policy`]: the decisions that all views follow |
//! | `outside.rs` | [`Outside`]: external views, from plugins and the configuration |
//! | `registry.rs` | [`Registry`] |
//! | `nearest.rs` | suggestions for misspelled names |
//! | `selection.rs` | [`Selection`]: the configuration of the views |

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
