//! Makes a plugin of views whose source is the same as that of built-in ones.
//!
//! A view implements [`View`](view::View) or [`TreeView`](view::TreeView) and registers a
//! [`ViewSpec`](view::ViewSpec), as `views/src` does it. A crate of type `cdylib` that says
//! [`export_views!`] makes a plugin of those that are linked into it:
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
//! # What is different from a built-in view
//! - Its `build` is called once more than that, with the defaults, to learn what it builds.
//! - It reads kernel files by itself: only facts, and the directories of cgroups, come from vistafs.
//! - What it keeps by `Container::kept` lasts as long as the worker.
//! - A panic is caught here: its caller gets EIO, and the log has it.
//!
//! | file | owns |
//! |---|---|
//! | `export.rs` | the tables of a plugin, made once from its registrations |
//! | `guard.rs` | what stands between a function of C and a view: panics, errors, the log |
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

/// Exports the named views, of those that are registered in this program; without names, all of them.
///
/// Once in a crate of type `cdylib`.
#[macro_export]
macro_rules! export_views {
    ($($name:literal),* $(,)?) => {
        /// The entry function of the plugin.
        ///
        /// # Safety
        /// `host` is a table of vistafs's, which is there for as long as the process.
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
