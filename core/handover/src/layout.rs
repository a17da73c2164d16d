//! Where everything is. A change here is a new layout: see the table in `lib.rs`.

use crate::region::WORD;

/// "vistafs" and the letter h.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"vistafsh");
/// Another one means other places: one that is not known is not to be taken over.
pub(crate) const MAJOR: u32 = 2;
/// The one before, which is taken over as it is.
pub(crate) const MAJOR_BEFORE: u32 = 1;
/// A higher one means that something was added at the end or in words that were zero.
pub(crate) const MINOR: u32 = 0;

/// Bytes of the pages that memory is given back by.
pub(crate) const PAGE: usize = 4096;

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
    /// Since layout 2: into how many open files something was written that lasts, at most.
    pub(crate) const WRITTEN: usize = 5;
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
    /// When a thread began to serve it: CLOCK_MONOTONIC, ns. All bits: none yet.
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
    /// The container that it is charged to (0 before there was such a thing), how many workers have taken it over.
    pub(crate) const TAKEN_OVER: usize = 11;
    pub(crate) const VIEW_NAME: usize = 12;
    pub(crate) const NAME: usize = 15;
    /// The thread of the worker that serves it. A worker from before this has the end of a long name here.
    pub(crate) const SERVER: usize = WORDS - 1;
    /// Bytes for the name of a view.
    pub(crate) const VIEW_NAME_BYTES: usize = (NAME - VIEW_NAME) * super::WORD;
    /// Bytes for the name that is looked up.
    pub(crate) const NAME_BYTES: usize = (SERVER - NAME) * super::WORD;
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

/// A head for each container that something is remembered of.
pub(crate) mod containers {
    use super::words;

    /// Where they begin; on a page of their own.
    pub(crate) const FIRST: usize = super::pollers::END.next_multiple_of(words(super::PAGE));
    /// Where they begin in layout 1.
    pub(crate) const FIRST_BEFORE: usize = super::pollers::END;
    pub(crate) const COUNT: usize = 4096;
    pub(crate) const WORDS: usize = words(64);
    pub(crate) const END: usize = FIRST + COUNT * WORDS;
    /// How far from its home a container may be.
    pub(crate) const NEIGHBOURS: usize = 128;
    pub(crate) const STATE: usize = 0;
    /// Two words.
    pub(crate) const KEY: usize = 1;
    /// CLOCK_MONOTONIC, seconds.
    pub(crate) const USED_AT: usize = 3;
    /// Since layout 2: which slots its records are in, and one more; two numbers in a word.
    pub(crate) const SLOTS: usize = 4;
    /// How many records each container may have.
    pub(crate) const RECORDS: usize = 6;
}

/// A record: what it is called, and two places for what it says.
pub(crate) mod record {
    pub(crate) const NAME: usize = 0;
    /// Since layout 2: the container's number and one more, and which of its records it is.
    pub(crate) const OWNER: usize = 1;
    pub(crate) const PLACES: usize = 2;
    /// Where in a place the bytes begin: after number, length and checksum.
    pub(crate) const PLACE_BYTES: usize = 4;

    /// Words of a record that has room for so many bytes.
    pub(crate) const fn words(bytes: usize) -> usize {
        PLACES + 2 * (PLACE_BYTES + super::words(bytes))
    }
}

/// What was written into open files and lasts.
pub(crate) mod written {
    pub(crate) const FIRST: usize = super::containers::END;
    pub(crate) const COUNT: usize = 1 << 14;
    pub(crate) const WORDS: usize = super::words(128);
    pub(crate) const END: usize = FIRST + COUNT * WORDS;
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

/// Slots for records, of several sizes. Those of one size lie side by side in blocks of whole pages, which
/// can be given back when none of their slots is taken.
pub(crate) mod slots {
    use super::{PAGE, record, words};

    pub(crate) const FIRST: usize = super::written::END;
    /// At least so many of each size.
    pub(crate) const COUNT: usize = 4096;

    /// Slots of one size.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Size {
        /// Pages of a block.
        pub(crate) pages: usize,
        /// Slots of a block.
        pub(crate) slots: usize,
    }

    const fn size(pages: usize, slots: usize) -> Size {
        Size { pages, slots }
    }

    /// The sizes, the smallest first; each memory has those up to the first that its longest record fits.
    pub(crate) const SIZES: [Size; 21] = [
        size(1, 32),
        size(1, 21),
        size(1, 16),
        size(1, 10),
        size(1, 8),
        size(1, 5),
        size(1, 4),
        size(1, 3),
        size(1, 2),
        size(1, 1),
        size(2, 1),
        size(3, 1),
        size(4, 1),
        size(6, 1),
        size(8, 1),
        size(12, 1),
        size(16, 1),
        size(24, 1),
        size(32, 1),
        size(48, 1),
        size(65, 1),
    ];

    impl Size {
        /// Words of a slot; an even number, as it has two places.
        pub(crate) const fn slot_words(self) -> usize {
            (words(self.pages * PAGE) / self.slots) & !1
        }

        /// Words of a block.
        pub(crate) const fn block_words(self) -> usize {
            words(self.pages * PAGE)
        }

        /// How many blocks there are.
        pub(crate) const fn blocks(self) -> usize {
            COUNT.div_ceil(self.slots)
        }

        /// How many slots there are.
        pub(crate) const fn count(self) -> usize {
            self.blocks() * self.slots
        }

        /// Whether a record of so many bytes has room in a slot.
        pub(crate) const fn fits(self, bytes: usize) -> bool {
            record::words(bytes.next_multiple_of(super::WORD)) <= self.slot_words()
        }
    }

    /// The sizes that a memory has whose records have room for so many bytes.
    pub(crate) fn sizes(record_bytes: usize) -> &'static [Size] {
        let largest = SIZES.iter().position(|size| size.fits(record_bytes));
        &SIZES[..largest.map_or(SIZES.len(), |largest| largest + 1)]
    }
}

/// The end, where a record has room for so many bytes.
pub(crate) fn end(record_bytes: usize) -> usize {
    let sizes = slots::sizes(record_bytes).iter();
    sizes.fold(slots::FIRST, |end, size| {
        end + size.blocks() * size.block_words()
    })
}

/// Layout 1: each container has room for six of the longest records, side by side; since its minor version 1
/// what was written is behind them.
pub(crate) mod before {
    use super::{containers, record, written};

    /// Where the records begin.
    pub(crate) const BEGUN: usize =
        containers::FIRST_BEFORE + containers::COUNT * containers::WORDS;

    /// Words of all records of a container.
    pub(crate) const fn of_container(record_bytes: usize) -> usize {
        containers::RECORDS * record::words(record_bytes)
    }

    /// The end of what minor version 0 has.
    pub(crate) const fn end_of_first(record_bytes: usize) -> usize {
        BEGUN + containers::COUNT * of_container(record_bytes)
    }

    /// The end.
    pub(crate) const fn end(record_bytes: usize) -> usize {
        end_of_first(record_bytes) + written::COUNT * written::WORDS
    }
}

/// The least and the most that a record may have room for.
pub(crate) const RECORD_BYTES: std::ops::RangeInclusive<usize> = 1024..=128 << 10;
