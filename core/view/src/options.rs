//! A view's options: declared with their defaults, set in the configuration.

use std::fmt;

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionValue {
    /// `true` or `false`
    Bool(bool),
    /// A whole number
    Integer(i64),
}

impl OptionValue {
    fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a whole number",
        }
    }
}

impl fmt::Display for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
        }
    }
}

/// Declares an option.
#[derive(Debug)]
pub struct OptionSpec {
    /// Its key in the configuration.
    pub name: &'static str,
    /// Its value when nothing is configured; also decides its type.
    pub default: OptionValue,
    /// One line for people.
    pub summary: &'static str,
}

/// An option that cannot be set so.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OptionError {
    /// The view has no such option.
    #[error("view {view} has no option {option} (it has: {known})")]
    Unknown {
        /// The view.
        view: &'static str,
        /// What was asked for.
        option: String,
        /// What there is.
        known: String,
    },
    /// The value is of another type.
    #[error("option {option} of view {view} takes {expected}")]
    Type {
        /// The view.
        view: &'static str,
        /// The option.
        option: String,
        /// What it takes.
        expected: &'static str,
    },
}

/// All options of one view with their values.
#[derive(Debug, Default)]
pub struct Options {
    values: Vec<(&'static str, OptionValue)>,
}

impl Options {
    /// The defaults, with `set` laid over them.
    ///
    /// # Errors
    /// Unknown option, wrong type.
    pub fn new<'a>(
        view: &'static str,
        specs: &[OptionSpec],
        set: impl IntoIterator<Item = (&'a str, &'a OptionValue)>,
    ) -> Result<Self, OptionError> {
        let mut values: Vec<_> = specs.iter().map(|s| (s.name, s.default.clone())).collect();
        for (name, value) in set {
            let Some((_, slot)) = values.iter_mut().find(|(known, _)| *known == name) else {
                let known: Vec<_> = specs.iter().map(|s| s.name).collect();
                return Err(OptionError::Unknown {
                    view,
                    option: name.to_owned(),
                    known: if known.is_empty() {
                        "none".to_owned()
                    } else {
                        known.join(", ")
                    },
                });
            };
            if std::mem::discriminant(slot) != std::mem::discriminant(value) {
                return Err(OptionError::Type {
                    view,
                    option: name.to_owned(),
                    expected: slot.kind(),
                });
            }
            *slot = value.clone();
        }
        Ok(Self { values })
    }

    /// A declared yes-or-no option; `false` for one that is not declared.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        let value = self.values.iter().find(|(known, _)| *known == name);
        matches!(value, Some((_, OptionValue::Bool(true))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[OptionSpec] = &[OptionSpec {
        name: "steal",
        default: OptionValue::Bool(true),
        summary: "",
    }];

    #[test]
    fn defaults_hold_until_set() {
        assert!(Options::new("stat", SPECS, []).unwrap().flag("steal"));
        let off = OptionValue::Bool(false);
        assert!(
            !Options::new("stat", SPECS, [("steal", &off)])
                .unwrap()
                .flag("steal")
        );
    }

    #[test]
    fn what_is_not_declared_is_refused() {
        let one = OptionValue::Integer(1);
        let error = Options::new("stat", SPECS, [("steel", &one)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "view stat has no option steel (it has: steal)"
        );
        let error = Options::new("stat", SPECS, [("steal", &one)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "option steal of view stat takes true or false"
        );
    }
}
