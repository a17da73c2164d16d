//! A limit as the cgroup files give it: a number, or none.
//!
//! `Max` sorts after every number, so that [`Ord::min`] is the tighter of two limits.

use std::fmt;

/// An upper bound, in the unit of the file that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// At most so much.
    Value(u64),
    /// As much as there is.
    Max,
}

impl Limit {
    /// The smaller of the limit and `total` (same unit).
    pub fn or_total(self, total: u64) -> u64 {
        match self {
            Limit::Value(value) => value.min(total),
            Limit::Max => total,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Value(value) => fmt::Display::fmt(value, f),
            Limit::Max => f.pad("max"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn min_is_the_tighter() {
        assert_eq!(Limit::Value(3).min(Limit::Max), Limit::Value(3));
        assert_eq!(Limit::Value(u64::MAX).min(Limit::Max).or_total(7), 7);
        assert_eq!(Limit::Value(3).min(Limit::Value(2)), Limit::Value(2));
        assert_eq!(Limit::Max.min(Limit::Max), Limit::Max);
    }

    #[test]
    fn or_total_never_exceeds_the_total() {
        assert_eq!(Limit::Max.or_total(5), 5);
        assert_eq!(Limit::Value(4).or_total(5), 4);
        assert_eq!(Limit::Value(6).or_total(5), 5);
    }

    #[test]
    fn displays_as_the_kernel_writes_it() {
        assert_eq!(Limit::Max.to_string(), "max");
        assert_eq!(Limit::Value(0).to_string(), "0");
    }
}
