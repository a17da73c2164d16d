//! A view's options: declared with their defaults, set in the configuration.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionValue {
    /// `true` or `false`
    Bool(bool),
    /// A whole number
    Integer(i64),
    /// A text
    Text(Cow<'static, str>),
}

impl OptionValue {
    fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a whole number",
            Self::Text(_) => "a text in quotes",
        }
    }
}

impl fmt::Display for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Text(value) => write!(f, "{value:?}"),
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
    /// Range of a whole number; `None`: any.
    pub range: Option<RangeInclusive<i64>>,
    /// One line for people.
    pub summary: &'static str,
}

/// An option that cannot be set to the given value.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OptionError {
    /// The view has no such option.
    #[error("view {view} has no option {option} (it has: {known})")]
    Unknown {
        /// The view.
        view: &'static str,
        /// The unknown option.
        option: String,
        /// The options of the view.
        known: String,
    },
    /// The value is of another type.
    #[error("option {option} of view {view} takes {expected}")]
    Type {
        /// The view.
        view: &'static str,
        /// The option.
        option: String,
        /// The expected type.
        expected: &'static str,
    },
    /// The number is too small or too large.
    #[error("option {option} of view {view} takes {least} to {most}, not {value}")]
    Range {
        /// The view.
        view: &'static str,
        /// The option.
        option: String,
        /// The rejected value.
        value: i64,
        /// Minimum.
        least: i64,
        /// Maximum.
        most: i64,
    },
}

/// All options of one view with their values.
#[derive(Debug, Default)]
pub struct Options {
    values: Vec<(&'static str, OptionValue)>,
}

impl Options {
    /// The defaults, overridden by `set`.
    ///
    /// # Errors
    /// Unknown option, wrong type, number out of its range.
    pub fn new<'a>(
        view: &'static str,
        specs: &[OptionSpec],
        set: impl IntoIterator<Item = (&'a str, &'a OptionValue)>,
    ) -> Result<Self, OptionError> {
        let mut values: Vec<_> = specs.iter().map(|s| (s.name, s.default.clone())).collect();
        for (name, value) in set {
            let known = values.iter_mut().zip(specs).find(|(_, s)| s.name == name);
            let Some(((_, slot), spec)) = known else {
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
            if let (OptionValue::Integer(value), Some(range)) = (value, &spec.range)
                && !range.contains(value)
            {
                return Err(OptionError::Range {
                    view,
                    option: name.to_owned(),
                    value: *value,
                    least: *range.start(),
                    most: *range.end(),
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

    /// A declared whole number; 0 for one that is not declared.
    #[must_use]
    pub fn number(&self, name: &str) -> i64 {
        let value = self.values.iter().find(|(known, _)| *known == name);
        match value {
            Some((_, OptionValue::Integer(number))) => *number,
            _ => 0,
        }
    }

    /// A declared text; empty for one that is not declared.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        let value = self.values.iter().find(|(known, _)| *known == name);
        match value {
            Some((_, OptionValue::Text(text))) => text,
            _ => "",
        }
    }

    /// The value of an option. `None`: it is not declared.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&OptionValue> {
        let value = self.values.iter().find(|(known, _)| *known == name);
        value.map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[OptionSpec] = &[
        OptionSpec {
            name: "steal",
            default: OptionValue::Bool(true),
            range: None,
            summary: "",
        },
        OptionSpec {
            name: "seconds",
            default: OptionValue::Integer(900),
            range: Some(5..=86_400),
            summary: "",
        },
    ];

    #[test]
    fn defaults_hold_until_set() {
        assert!(Options::new("stat", SPECS, []).unwrap().flag("steal"));
        let off = OptionValue::Bool(false);
        assert!(
            !Options::new("stat", SPECS, [("steal", &off)])
                .unwrap()
                .flag("steal")
        );
        let options = Options::new("stat", SPECS, []).unwrap();
        assert_eq!(options.number("seconds"), 900);
        assert_eq!(
            (options.number("steal"), options.flag("seconds")),
            (0, false)
        );
    }

    #[test]
    fn numbers_keep_to_their_range() {
        let set = |number| {
            let value = OptionValue::Integer(number);
            Options::new("stat", SPECS, [("seconds", &value)]).map(|o| o.number("seconds"))
        };
        assert_eq!(set(5), Ok(5));
        assert_eq!(set(86_400), Ok(86_400));
        assert_eq!(
            set(4).unwrap_err().to_string(),
            "option seconds of view stat takes 5 to 86400, not 4"
        );
        assert!(set(86_401).is_err() && set(i64::MIN).is_err());
    }

    #[test]
    fn what_is_not_declared_is_refused() {
        let one = OptionValue::Integer(1);
        let error = Options::new("stat", SPECS, [("steel", &one)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "view stat has no option steel (it has: steal, seconds)"
        );
        let error = Options::new("stat", SPECS, [("steal", &one)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "option steal of view stat takes true or false"
        );
    }
}
