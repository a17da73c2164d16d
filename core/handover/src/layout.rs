//! Where everything is. A change here is a new layout: see the table in `lib.rs`.

use crate::region::WORD;

/// "vistafs" and the letter h.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"vistafsh");
/// Another one means other places: not to be taken over.
pub(crate) const MAJOR: u32 = 1;
/// A higher one means that something was added at the end or in words that were zero.
pub(crate) const MINOR: u32 = 0;

const fn words(bytes: usize) -> usize {
    bytes / WORD
}

/// The head.
pub(crate) mod head {
    pub(crate) const MAGIC: usize = 0;
    /// Major, minor.
    pub(crate) const VERSION: usize = 1;
    /// Of the last worker that was started.
    pub(crate) const GENERATION: usize = 2;
    pub(crate) const WORDS: usize = super::words(4096);
}

/// Requests in flight.
pub(crate) mod requests {
    pub(crate) const FIRST: usize = super::head::WORDS;
    pub(crate) const COUNT: usize = 1024;
    pub(crate) const WORDS: usize = super::words(256);
    pub(crate) const END: usize = FIRST + COUNT * WORDS;

    /// Generation, and what the slot is.
    pub(crate) const STATE: usize = 0;
    pub(crate) const UNIQUE: usize = 1;
    /// CLOCK_MONOTONIC, ns.
    pub(crate) const STARTED: usize = 2;
    /// Opcode, size.
    pub(crate) const OPCODE: usize = 3;
    pub(crate) const NODE: usize = 4;
    pub(crate) const HANDLE: usize = 5;
    pub(crate) const OFFSET: usize = 6;
    /// Thread, user.
    pub(crate) const CALLER: usize = 7;
    /// Group, flags.
    pub(crate) const GROUP: usize = 8;
    pub(crate) const VIEW: usize = 9;
    /// Length of the view's name, length of the name that is looked up.
    pub(crate) const LENGTHS: usize = 10;
    /// How many workers have taken it over.
    pub(crate) const TAKEN_OVER: usize = 11;
    pub(crate) const VIEW_NAME: usize = 12;
    pub(crate) const NAME: usize = 15;
    /// Bytes for the name of a view.
    pub(crate) const VIEW_NAME_BYTES: usize = (NAME - VIEW_NAME) * super::WORD;
    /// Bytes for the name that is looked up.
    pub(crate) const NAME_BYTES: usize = (WORDS - NAME) * super::WORD;
}

/// The end.
pub(crate) const END: usize = requests::END;
