//! Where everything is. A change here is a new layout: see the table in `lib.rs`.

use crate::region::WORD;

/// "vistafs" and the letter h.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"vistafsh");
/// Another one means other places: not to be taken over.
pub(crate) const MAJOR: u32 = 1;
/// A higher one means that something was added at the end or in words that were zero.
pub(crate) const MINOR: u32 = 1;

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
    /// How many bytes a container's record has room for.
    pub(crate) const RECORD_BYTES: usize = 3;
    /// Whether the supervisor sleeps.
    pub(crate) const ASLEEP: usize = 4;
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

/// What was read through each open handle.
pub(crate) mod handles {
    pub(crate) const FIRST: usize = super::requests::END;
    pub(crate) const COUNT: usize = 1 << 16;
    pub(crate) const WORDS: usize = 2;
    pub(crate) const END: usize = FIRST + COUNT * WORDS;
    /// How far from its home a handle may be.
    pub(crate) const NEIGHBOURS: usize = 32;

    pub(crate) const HANDLE: usize = 0;
    /// The length that was shown, and what can be said of the text.
    pub(crate) const SHOWN: usize = 1;
}

/// Texts that are being read in pieces: a head each, and then the bytes of all.
pub(crate) mod texts {
    use super::words;

    pub(crate) const SMALL: usize = 1024;
    pub(crate) const SMALL_BYTES: usize = 16 << 10;
    pub(crate) const LARGE: usize = 32;
    pub(crate) const LARGE_BYTES: usize = 512 << 10;
    pub(crate) const COUNT: usize = SMALL + LARGE;
    pub(crate) const FIRST: usize = super::handles::END;
    pub(crate) const WORDS: usize = words(32);
    /// The handle that has it; 0: it is free.
    pub(crate) const HANDLE: usize = 0;
    pub(crate) const LENGTH: usize = 1;
    pub(crate) const SUM: usize = 2;

    const SMALL_BEGIN: usize = FIRST + COUNT * WORDS;
    const LARGE_BEGIN: usize = SMALL_BEGIN + SMALL * words(SMALL_BYTES);
    pub(crate) const END: usize = LARGE_BEGIN + LARGE * words(LARGE_BYTES);

    /// Where the bytes of a text are: the first word, and how many there are.
    pub(crate) fn bytes_of(text: usize) -> (usize, usize) {
        match text.checked_sub(SMALL) {
            None => (SMALL_BEGIN + text * words(SMALL_BYTES), words(SMALL_BYTES)),
            Some(large) => (
                LARGE_BEGIN + large % LARGE * words(LARGE_BYTES),
                words(LARGE_BYTES),
            ),
        }
    }
}

/// Nodes of named containers that the kernel remembers.
pub(crate) mod addresses {
    pub(crate) const FIRST: usize = super::texts::END;
    pub(crate) const COUNT: usize = 4096;
    pub(crate) const WORDS: usize = super::words(512);
    pub(crate) const END: usize = FIRST + COUNT * WORDS;
    /// How far from its home an address may be.
    pub(crate) const NEIGHBOURS: usize = 64;

    /// Of the node; 0: free.
    pub(crate) const NUMBER: usize = 0;
    /// And one more; 0: it is not whole.
    pub(crate) const LENGTH: usize = 1;
    pub(crate) const SUM: usize = 2;
    /// How often the kernel was told of it.
    pub(crate) const TOLD: usize = 3;
    pub(crate) const BYTES: usize = 4;
}

/// Who waits in poll(2).
pub(crate) mod pollers {
    pub(crate) const FIRST: usize = super::addresses::END;
    pub(crate) const COUNT: usize = 1024;
    pub(crate) const END: usize = FIRST + COUNT;
    /// How far from its home a number may be.
    pub(crate) const NEIGHBOURS: usize = 16;
}

/// Records of containers: a head each, and then the records of all.
pub(crate) mod containers {
    use super::words;

    pub(crate) const FIRST: usize = super::pollers::END;
    pub(crate) const COUNT: usize = 4096;
    pub(crate) const WORDS: usize = words(64);
    /// How far from its home a container may be.
    pub(crate) const NEIGHBOURS: usize = 128;
    pub(crate) const STATE: usize = 0;
    /// Two words.
    pub(crate) const KEY: usize = 1;
    /// CLOCK_MONOTONIC, seconds.
    pub(crate) const USED_AT: usize = 3;

    /// Where the records begin.
    pub(crate) const BEGUN: usize = FIRST + COUNT * WORDS;
    /// Of each container.
    pub(crate) const RECORDS: usize = 6;
    pub(crate) const RECORD_NAME: usize = 0;
    pub(crate) const RECORD_PLACES: usize = 2;
    /// Where in a place the bytes begin: after number, length and checksum.
    pub(crate) const PLACE_BYTES: usize = 4;

    /// Words of a record that has room for so many bytes.
    pub(crate) const fn record_words(bytes: usize) -> usize {
        RECORD_PLACES + 2 * (PLACE_BYTES + words(bytes))
    }
}

/// The end of what minor version 0 has, where a record has room for so many bytes.
pub(crate) const fn end_of_first(record_bytes: usize) -> usize {
    use containers::{BEGUN, COUNT, RECORDS, record_words};
    BEGUN + COUNT * RECORDS * record_words(record_bytes)
}

/// What was written into open files and lasts. Since minor version 1; behind the records, so that
/// where it begins depends on their length.
pub(crate) mod written {
    pub(crate) const COUNT: usize = 1 << 14;
    pub(crate) const WORDS: usize = super::words(128);
    /// How far from its home a handle may be.
    pub(crate) const NEIGHBOURS: usize = 64;

    /// The open file; 0: free.
    pub(crate) const HANDLE: usize = 0;
    /// Of whom: two words.
    pub(crate) const OF: usize = 1;
    /// And one more; 0: it is not whole.
    pub(crate) const LENGTH: usize = 3;
    pub(crate) const SUM: usize = 4;
    pub(crate) const BYTES: usize = 5;
}

/// The end, where a record has room for so many bytes.
pub(crate) const fn end(record_bytes: usize) -> usize {
    end_of_first(record_bytes) + written::COUNT * written::WORDS
}

/// The least and the most that a record may have room for.
pub(crate) const RECORD_BYTES: std::ops::RangeInclusive<usize> = 1024..=128 << 10;
