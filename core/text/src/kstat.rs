//! Named statistics of ZFS below /proc/spl/kstat, such as zfs/arcstats.
//!
//! A line of numbers about the statistics themselves, the headings `name type data`, and a line for each
//! statistic: its name, the number of its type, and its value.

use crate::error::ParseError;
use crate::fields::Fields;
use crate::line_reader::{LineReader, is_blank};

/// Appends `text` with 0 as the value of each statistic.
pub fn push_zeroed(text: &[u8], out: &mut Vec<u8>) -> Result<(), ParseError> {
    let mut lines = LineReader::new(text).filter(|(_, line)| !is_blank(line));
    let no_headings = || ParseError::new("the headings of a kstat", 1, text);
    for expected in [None, Some(&b"name"[..])] {
        let (number, line) = lines.next().ok_or_else(no_headings)?;
        let mut fields = Fields::new(line, number);
        match expected {
            None => drop(fields.u64("the number of a kstat")?),
            Some(word) if fields.next() == Some(word) => {}
            Some(_) => return Err(no_headings()),
        }
        out.extend_from_slice(line);
    }
    for (number, line) in lines {
        let mut fields = Fields::new(line, number);
        fields.word("the name of a statistic")?;
        fields.u64("the number of a type")?;
        let before = line.len() - fields.rest().len();
        let value = fields.word("the value of a statistic")?;
        let blanks = line.get(before..).unwrap_or_default();
        let blanks = blanks.len() - fields.rest().len() - value.len();
        out.extend_from_slice(line.get(..before + blanks).unwrap_or_default());
        out.extend_from_slice(b"0\n");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zeroed(text: &str) -> Option<String> {
        let mut out = Vec::new();
        push_zeroed(text.as_bytes(), &mut out).ok()?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn names_and_types_stay() {
        let shown = zeroed(
            "9 1 0x01 147 39984 5446321416 1010346517064\n\
             name                            type data\n\
             size                            4    8589934592\n\
             c_min                           4    1\n",
        );
        assert_eq!(
            shown.as_deref(),
            Some(
                "9 1 0x01 147 39984 5446321416 1010346517064\n\
                 name                            type data\n\
                 size                            4    0\n\
                 c_min                           4    0\n"
            )
        );
    }

    #[test]
    fn what_is_no_statistic_is_an_error() {
        for text in [
            "",
            "garbage\nname type data\n",
            "9 1\ngarbage\n",
            "9 1\n",
            "9 1\nname\nsize\n",
            "9 1\nname\nsize x 1\n",
            "9 1\nname\nsize 4\n",
        ] {
            assert_eq!(zeroed(text), None, "{text:?}");
        }
    }
}
