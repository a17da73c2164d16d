//! Builds a plugin from views with the same source as built-in ones.
//!
//! A view implements [`View`](view::View) or [`TreeView`](view::TreeView) and registers a
//! [`ViewSpec`](view::ViewSpec), as in `views/src`. In a crate of type `cdylib`, [`export_views!`]
//! builds a plugin from the views that are linked into it:
//!
//! ```
//! use std::sync::Arc;
//! use vistafs_plugin_sdk::{export_views, view};
//! use view::{Context, Provider, View, ViewError, ViewSpec, inventory};
//!
//! #[derive(Debug)]
//! struct Hello;
//!
//! impl View for Hello {
//!     fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
//!         out.extend_from_slice(format!("hello, {}\n", cx.container().path().display()).as_bytes());
//!         Ok(())
//!     }
//! }
//!
//! inventory::submit! {
//!     ViewSpec {
//!         name: "hello",
//!         path: "proc/hello",
//!         summary: "greets the container",
//!         mode: 0o444,
//!         on_by_default: true,
//!         sources: &[],
//!         options: &[],
//!         build: |_| Provider::File(Arc::new(Hello)),
//!     }
//! }
//!
//! export_views!("hello");
//! # fn main() {}
//! ```
//!
//! # Differences from a built-in view
//! - Its `build` is called one additional time, with the defaults, to determine the kind of view.
//! - It reads kernel files itself: only facts, and the directories of cgroups, come from vistafs.
//! - State in `Container::kept` lasts as long as the worker.
//! - A panic is caught here: its caller gets EIO, and it is logged.
//!
//! | file | owns |
//! |---|---|
//! | `export.rs` | the tables of a plugin, made once from its registrations |
//! | `guard.rs` | the layer between a C function and a view: panics, errors, the log |
//! | `scene.rs` | a view's context, made from the facts of vistafs |
//! | `file.rs` | the functions of a view that is a file |
//! | `tree.rs` | the functions of a tree |
//! | `channel.rs` | the functions of a channel |

#![allow(
    unsafe_code,
    reason = "the one place where pointers of C become values of Rust; each block is argued"
)]

mod channel;
mod export;
mod file;
mod guard;
mod scene;
mod tree;

pub use export::export;
pub use vistafs_plugin_abi as abi;
/// The contract of a view, the same as for built-in ones.
pub use vistafs_view as view;

/// Exports the named views of this program; without names, all of them.
///
/// Once in a crate of type `cdylib`.
#[macro_export]
macro_rules! export_views {
    ($($name:literal),* $(,)?) => {
        /// The entry function of the plugin.
        ///
        /// # Safety
        /// `host` is a table of vistafs that is valid until the process ends.
        #[allow(unsafe_code, reason = "vistafs finds the plugin by the name of this function")]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn vistafs_plugin(
            host: *const $crate::abi::Host,
        ) -> *const $crate::abi::Plugin {
            let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
            // SAFETY: what the caller promises.
            unsafe { $crate::export(host, name, version, &[$($name),*]) }
        }
    };
}
