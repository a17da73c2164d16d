//! Loads plugins, and stands between them and the rest of vistafs.
