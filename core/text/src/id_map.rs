//! /proc/PID/uid_map and gid_map: which ids a user namespace has.
//!
//! user_namespaces(7): lines of `FIRST-INSIDE FIRST-OUTSIDE LENGTH`; outside are the ids of the
//! reader's user namespace, or of the parent where the reader is in the mapped one. A namespace that
//! was not given a map yet has an empty file.

use crate::error::ParseError;
use crate::fields::Fields;
use crate::line_reader::LineReader;

/// The ids of a user namespace, as seen from outside of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdMap {
    // First and length of each extent, outside.
    extents: Vec<(u32, u32)>,
}

impl IdMap {
    /// Reads the text of the file.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let mut extents = Vec::new();
        for (number, line) in LineReader::new(text) {
            let mut fields = Fields::new(line, number);
            fields.u32("the first id inside")?;
            let first = fields.u32("the first id outside")?;
            let length = fields.u32("the number of ids")?;
            fields.end()?;
            extents.push((first, length));
        }
        Ok(Self { extents })
    }

    /// Whether an id outside has one inside.
    #[must_use]
    pub fn has(&self, outside: u32) -> bool {
        self.extents
            .iter()
            .any(|(first, length)| outside.checked_sub(*first).is_some_and(|n| n < *length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_in_an_extent_or_not() {
        let map = IdMap::parse(b"         0     100000      65536\n  70000 5 1\n").unwrap();
        for (id, expected) in [
            (0, false),
            (4, false),
            (5, true),
            (6, false),
            (99_999, false),
            (100_000, true),
            (165_535, true),
            (165_536, false),
            (u32::MAX, false),
        ] {
            assert_eq!(map.has(id), expected, "{id}");
        }
    }

    #[test]
    fn the_initial_namespace_has_all_but_the_last() {
        let map = IdMap::parse(b"0 0 4294967295\n").unwrap();
        assert!(map.has(0) && map.has(u32::MAX - 1) && !map.has(u32::MAX));
        assert_eq!(IdMap::parse(b"").unwrap(), IdMap::default());
        assert!(!IdMap::default().has(0));
    }

    #[test]
    fn what_is_no_map_is_an_error() {
        for text in [
            &b"0 0\n"[..],
            b"0 0 x\n",
            b"0 0 1 1\n",
            b"-1 0 1\n",
            b"0 4294967296 1\n",
            b"\n",
        ] {
            assert!(IdMap::parse(text).is_err(), "{}", text.escape_ascii());
        }
    }
}
