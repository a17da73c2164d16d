//! The "flat keyed" format, one `KEY NUMBER` a line: memory.stat, cpu.stat, cpuacct.stat,
//! memory.events and others.
//!
//! Documentation/admin-guide/cgroup-v2.rst, section "Format"; the v1 files follow it too. Units
//! are those of the file (memory.stat: bytes, cpu.stat: µs and counts, cpuacct.stat: USER_HZ
//! ticks). Blank lines are skipped.

use crate::error::ParseError;
use crate::fields::Fields;
use crate::line_reader::{LineReader, is_blank};

/// Iterator over the entries, from [`entries`].
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    lines: LineReader<'a>,
}

/// The entries of `text` in its order. A line that is not a key and a number is an error item.
pub fn entries(text: &[u8]) -> Entries<'_> {
    Entries {
        lines: LineReader::new(text),
    }
}

/// The value of the first line whose key is `key`; only that line is judged.
pub fn find(text: &[u8], key: &[u8]) -> Result<Option<u64>, ParseError> {
    LineReader::new(text)
        .find(|(number, line)| Fields::new(line, *number).next() == Some(key))
        .map(|(number, line)| entry(line, number).map(|(_, value)| value))
        .transpose()
}

/// Appends `text` with every number replaced by 0.
pub fn push_zeroed(text: &[u8], out: &mut Vec<u8>) -> Result<(), ParseError> {
    for entry in entries(text) {
        out.extend_from_slice(entry?.0);
        out.extend_from_slice(b" 0\n");
    }
    Ok(())
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(&'a [u8], u64), ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (number, line) = self.lines.find(|(_, line)| !is_blank(line))?;
        Some(entry(line, number))
    }
}

fn entry(line: &[u8], number: usize) -> Result<(&[u8], u64), ParseError> {
    let mut fields = Fields::new(line, number);
    let key = fields.word("a key")?;
    let value = fields.u64("a decimal number after the key")?;
    fields.end()?;
    Ok((key, value))
}

#[cfg(test)]
mod tests;
