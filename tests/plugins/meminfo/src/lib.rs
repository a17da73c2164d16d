//! The built-in view of `proc/meminfo` as a plugin: the same source, and so the same bytes.

// The linker drops a crate without references, with its views.
use vistafs_views as _;

vistafs_plugin_sdk::export_views!("meminfo");
