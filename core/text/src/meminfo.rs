//! /proc/meminfo and the nodes' meminfo under /sys/devices/system/node.
//!
//! proc_meminfo(5). Each line is a label that ends in a colon, blanks, a number, and mostly the
//! unit ` kB`, which the kernel means as KiB. The module also rewrites a line with another
//! number, in the column where the kernel would have put it. Blank lines are skipped.

use crate::error::ParseError;
use crate::line_reader::{LineReader, is_blank};
use crate::number::{digits, parse_u64, push_blanks, push_u64, trim};

/// The column in which the kernel's numbers end, as long as they fit their field.
const FIELD_END: usize = 24;
/// The kernel's field width of a number with the unit kB.
const WIDTH_KIB: usize = 8;
/// The kernel's field width of a number without unit, the counts of huge pages.
const WIDTH_COUNT: usize = 5;

/// One line, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The whole line, with its newline if it had one.
    pub text: &'a [u8],
    /// The label without its colon; in a node's file with `Node N ` before it.
    pub key: &'a [u8],
    /// The number, in KiB if `kib`, else a count.
    pub value: u64,
    /// Whether the unit kB follows the number.
    pub kib: bool,
    number_end: usize,
}

/// Iterator over the lines, from [`lines`].
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    lines: LineReader<'a>,
}

/// The lines of `text` in its order.
pub fn lines(text: &[u8]) -> Lines<'_> {
    Lines {
        lines: LineReader::new(text),
    }
}

/// The number of the first line with that key, in the unit of the line; `None` also if that line
/// is malformed.
pub fn get(text: &[u8], key: &[u8]) -> Option<u64> {
    let is_wanted = |line: &[u8]| {
        line.strip_prefix(key)
            .is_some_and(|rest| rest.first() == Some(&b':'))
    };
    let (number, line) = LineReader::new(text).find(|(_, line)| is_wanted(line))?;
    parse(line, number).ok().map(|line| line.value)
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Line<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (number, line) = self.lines.find(|(_, line)| !is_blank(line))?;
        Some(parse(line, number))
    }
}

impl Line<'_> {
    /// Appends this line with `value` (same unit as [`Line::value`]) in place of its number.
    ///
    /// Label, unit and newline stay as they are. The number ends where the host's does, or where
    /// the kernel's field ends if the host's number was too wide for it; one that does not fit
    /// begins where the field begins and sticks out to the right.
    pub fn push_with(&self, value: u64, out: &mut Vec<u8>) {
        let label_end = self.key.len() + 1;
        let field_end = self.number_end.min(node_prefix(self.key) + FIELD_END);
        let width = if self.kib { WIDTH_KIB } else { WIDTH_COUNT };
        let field_start = field_end.saturating_sub(width).max(label_end + 1);
        let start = field_end.saturating_sub(digits(value)).max(field_start);

        out.extend_from_slice(self.text.get(..label_end).unwrap_or_default());
        push_blanks(out, start - label_end);
        push_u64(out, value);
        out.extend_from_slice(self.text.get(self.number_end..).unwrap_or_default());
    }
}

/// Length of the `Node N ` by which all columns of a node's file are shifted; else 0.
fn node_prefix(key: &[u8]) -> usize {
    if !key.starts_with(b"Node ") {
        return 0;
    }
    key.iter()
        .rposition(|byte| *byte == b' ')
        .map_or(0, |blank| blank + 1)
}

fn parse(text: &[u8], number: usize) -> Result<Line<'_>, ParseError> {
    let whole = || ParseError::new("a label that ends in a colon", number, trim(text));
    let colon = text
        .iter()
        .position(|byte| *byte == b':')
        .filter(|colon| *colon > 0)
        .ok_or_else(whole)?;
    let (key, after_key) = text.split_at_checked(colon).ok_or_else(whole)?;
    let field = after_key.strip_prefix(b":").unwrap_or(after_key);
    let value_on = field.trim_ascii_start();
    let length = value_on
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let no_number = || ParseError::new("a decimal number after the label", number, trim(field));
    let (value, tail) = value_on.split_at_checked(length).ok_or_else(no_number)?;
    let value = parse_u64(value).ok_or_else(no_number)?;
    let kib = match trim(tail) {
        b"" => false,
        b"kB" => true,
        other => {
            let expected = "the unit kB or the end of the line";
            return Err(ParseError::new(expected, number, other));
        }
    };
    Ok(Line {
        text,
        key,
        value,
        kib,
        number_end: text.len() - tail.len(),
    })
}

#[cfg(test)]
mod tests;
