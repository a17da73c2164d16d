//! The views enabled and disabled in the configuration, and their options.

use std::collections::BTreeMap;

use crate::OptionValue;

/// Contains view names; the registry refuses unknown ones.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Views to switch on that are off by default.
    pub enable: Vec<String>,
    /// Views to switch off.
    pub disable: Vec<String>,
    /// Paths of built-in views that an external view replaces.
    pub replace: Vec<String>,
    /// Options by view.
    pub options: BTreeMap<String, BTreeMap<String, OptionValue>>,
}
