//! What a reader of memory figures needs of them: each file that is not read is time saved.

/// Which figures are read. The limit always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryWanted {
    /// What is in use.
    pub usage: bool,
    /// `memory.stat`, the dearest of all files.
    pub statistics: bool,
    /// What the ancestors can still give.
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

    /// The limit alone, which also tells whether anybody counts.
    pub const LIMIT: Self = Self {
        usage: false,
        statistics: false,
        headroom: false,
        swap: false,
    };

    /// Whether what was read for these is enough for those.
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
