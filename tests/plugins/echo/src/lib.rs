//! A plugin with a file that is written and polled, and a tree; for tests.
//!
//! `proc/echo/said` shows what was written to it last in the same container, and whoever polls it is woken
//! by each write. `proc/echo/about` is a tree:
//!
//! ```text
//! about
//! ├── again -> more/name
//! ├── caller         thread, user and group of the reader
//! └── more
//!     └── name       the container's name, or "the host"
//! ```

mod about;
mod said;

vistafs_plugin_sdk::export_views!("echo-said", "echo-about");
