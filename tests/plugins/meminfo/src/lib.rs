//! The built-in view of `proc/meminfo` as a plugin: the same source, and so the same bytes.

// A crate that nobody names is left out by the linker, with its views.
use vistafs_views as _;

vistafs_plugin_sdk::export_views!("meminfo");
