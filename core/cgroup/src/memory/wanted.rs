//! The memory figures that a reader needs: each file that is not read saves time.

/// Selects the figures to read. The limit is always read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryWanted {
    /// Bytes in use.
    pub usage: bool,
    /// `memory.stat`, the most expensive file.
    pub statistics: bool,
    /// Bytes left in the ancestors.
    pub headroom: bool,
    /// Swap.
    pub swap: bool,
}

impl MemoryWanted {
    /// All of them.
    pub const ALL: Self = Self {
        usage: true,
        statistics: true,
        headroom: true,
        swap: true,
    };

    /// Only the limit, which also shows whether the controller counts at all.
    pub const LIMIT: Self = Self {
        usage: false,
        statistics: false,
        headroom: false,
        swap: false,
    };

    /// Whether a reading for `self` contains the figures of `those`.
    pub(super) fn covers(self, those: Self) -> bool {
        let parts = |of: Self| [of.usage, of.statistics, of.swap];
        let pairs = parts(self).into_iter().zip(parts(those));
        pairs.fold(true, |all, (has, needs)| all && (has || !needs))
    }

    /// Limit and use.
    pub const USAGE: Self = Self {
        usage: true,
        ..Self::LIMIT
    };
}
