//! What the administrator switched on and off, and the options that he set.

use std::collections::BTreeMap;

use crate::OptionValue;

/// Names are those of views; unknown ones are refused by the registry.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Views to switch on that are off by default.
    pub enable: Vec<String>,
    /// Views to switch off.
    pub disable: Vec<String>,
    /// Paths of built-in views in whose place a view from outside serves.
    pub replace: Vec<String>,
    /// Options by view.
    pub options: BTreeMap<String, BTreeMap<String, OptionValue>>,
}
