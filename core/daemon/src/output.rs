//! The output of commands: tables, and text to standard output.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};

use anyhow::Context as _;

use crate::logging::plain;

/// Prints the text. A reader that closes the pipe early is no error: `vistafs show ... | head -1`.
pub(crate) fn print(text: &[u8]) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Returns the lines of a table, with two blanks between columns.
pub(crate) fn table<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let head = head.map(str::to_owned);
    let rows = rows.map(|row| row.map(|cell| plain(&cell)));
    let lines: Vec<[String; N]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for line in &lines {
        let mut padded = String::new();
        for (cell, width) in line.iter().zip(widths) {
            // Writing to a String cannot fail.
            let _ = write!(padded, "{cell:width$}  ");
        }
        text += padded.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "long cell", ""], ["\u{e9}tat", "b", "c"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(
            table(["X", "Y", "Z"], rows.into_iter()),
            "X     Y          Z\na     long cell\n\u{e9}tat  b          c\n"
        );
    }

    #[test]
    fn a_cell_is_no_more_than_text() {
        let rows = [["a\nb\u{1b}[0m".to_owned()]];
        assert_eq!(table(["X"], rows.into_iter()), "X\na b\\u{1b}[0m\n");
    }
}
