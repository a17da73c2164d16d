//! Types of values, and their conversion from and to TOML.

use std::num::NonZeroU8;
use std::path::PathBuf;

use toml::de::{DeInteger, DeValue};

/// A type of values.
pub(super) trait Setting: Sized {
    /// The valid values, for error messages.
    const TAKES: &'static str;

    /// Converts a value of the file. `None`: wrong type, or out of range.
    fn read(value: &DeValue<'_>) -> Option<Self>;

    /// Returns the value in TOML.
    fn toml(&self) -> String;
}

impl Setting for bool {
    const TAKES: &'static str = "true or false";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        match value {
            DeValue::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    fn toml(&self) -> String {
        self.to_string()
    }
}

/// Parses an integer.
pub(super) fn whole(value: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(value.as_str(), value.radix()).ok()
}

macro_rules! number {
    ($type:ty, $takes:literal) => {
        impl Setting for $type {
            const TAKES: &'static str = $takes;

            fn read(value: &DeValue<'_>) -> Option<Self> {
                match value {
                    DeValue::Integer(value) => whole(value)?.try_into().ok(),
                    _ => None,
                }
            }

            fn toml(&self) -> String {
                self.to_string()
            }
        }
    };
}

number!(u32, "a whole number, 0 to 4294967295");
number!(u64, "a whole number, not below 0");

/// A TTL of the page cache in milliseconds; 0 disables it. The minimum of 20 is twice the longest tick of
/// the kernel's clock.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ttl(u32);

impl Ttl {
    pub(super) fn get(self) -> u64 {
        self.0.into()
    }
}

impl Setting for Ttl {
    const TAKES: &'static str = "0, or a whole number from 20 to 10000";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        let ttl = u32::read(value)?;
        (ttl == 0 || (20..=10_000).contains(&ttl)).then_some(Self(ttl))
    }

    fn toml(&self) -> String {
        self.0.to_string()
    }
}

macro_rules! bounded {
    ($(#[$doc:meta])* $type:ident, $least:literal, $most:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $type(u32);

        impl $type {
            /// Creates a value, which must be in range.
            pub(super) const fn new(number: u32) -> Self {
                assert!(number >= $least && number <= $most);
                Self(number)
            }

            pub(super) fn get(self) -> u32 {
                self.0
            }
        }

        impl Setting for $type {
            const TAKES: &'static str = concat!("a whole number, ", $least, " to ", $most);

            fn read(value: &DeValue<'_>) -> Option<Self> {
                let number = u32::read(value)?;
                ($least..=$most).contains(&number).then_some(Self(number))
            }

            fn toml(&self) -> String {
                self.0.to_string()
            }
        }
    };
}

bounded!(
    /// A timeout in milliseconds.
    Timeout, 1, 60000
);
bounded!(
    /// A maximum length of contents, in bytes.
    TextSize, 4096, 67108864
);

impl Setting for NonZeroU8 {
    const TAKES: &'static str = "a whole number, 1 to 255";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        let number = u32::read(value)?;
        Self::new(u8::try_from(number).ok()?)
    }

    fn toml(&self) -> String {
        self.to_string()
    }
}

impl Setting for String {
    const TAKES: &'static str = "a text in quotes";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        match value {
            DeValue::String(value) => Some(value.clone().into_owned()),
            _ => None,
        }
    }

    fn toml(&self) -> String {
        toml::Value::String(self.clone()).to_string()
    }
}

impl Setting for PathBuf {
    const TAKES: &'static str = "a path in quotes";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        String::read(value).map(Self::from)
    }

    fn toml(&self) -> String {
        self.to_string_lossy().into_owned().toml()
    }
}

impl<T: Setting> Setting for Vec<T> {
    const TAKES: &'static str = "a list in brackets";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        match value {
            DeValue::Array(values) => values.iter().map(|one| T::read(one.get_ref())).collect(),
            _ => None,
        }
    }

    fn toml(&self) -> String {
        let values: Vec<_> = self.iter().map(T::toml).collect();
        format!("[{}]", values.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Setting>(value: &str) -> Option<T> {
        T::read(DeValue::parse(value).unwrap().get_ref())
    }

    #[test]
    fn a_written_value_is_read_again() {
        for text in ["", "a \"b\"\\\n\u{1}", "ä"] {
            let text = text.to_owned();
            assert_eq!(read::<String>(&text.toml()), Some(text));
        }
        let list = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(list.toml(), r#"["a", "b"]"#);
        assert_eq!(read::<Vec<String>>(&list.toml()), Some(list));
    }

    #[test]
    fn numbers_are_in_range_or_none() {
        assert_eq!(read::<u64>("0x1_0"), Some(16));
        assert_eq!(read::<u64>("-1"), None);
        assert_eq!(read::<u32>("4294967296"), None);
        assert_eq!(read::<u64>("99999999999999999999"), None);
        assert_eq!(read::<NonZeroU8>("0"), None);
        assert_eq!(read::<NonZeroU8>("255"), NonZeroU8::new(255));
        assert_eq!(read::<u64>("1.0"), None);
        assert_eq!(read::<bool>("1"), None);
    }
}
