//! /proc/slabinfo, and memory.kmem.slabinfo of cgroup v1 on kernels that keep slabs by cgroup.
//!
//! slabinfo(5). Two heading lines (the version, and the columns after `#`), and a line for each
//! cache: its name, five numbers, and tunables after a colon.

use crate::error::ParseError;
use crate::fields::Fields;
use crate::line_reader::{LineReader, is_blank};

/// The heading lines of `text`.
pub fn heading(text: &[u8]) -> Result<&[u8], ParseError> {
    let lines = LineReader::new(text).take_while(|(_, line)| is_heading(line));
    let length = lines.map(|(_, line)| line.len()).sum();
    match text.get(..length) {
        Some(heading) if heading.starts_with(b"slabinfo") => Ok(heading),
        _ => Err(ParseError::new("the version of slabinfo", 1, text)),
    }
}

/// The lines of caches, as they are.
pub fn rows(text: &[u8]) -> impl Iterator<Item = Result<&[u8], ParseError>> {
    LineReader::new(text)
        .filter(|(_, line)| !is_heading(line) && !is_blank(line))
        .map(|(number, line)| {
            let mut fields = Fields::new(line, number);
            fields.word("the name of a cache")?;
            for _ in 0..5 {
                fields.u64("a number of objects, bytes or pages")?;
            }
            Ok(line)
        })
}

fn is_heading(line: &[u8]) -> bool {
    line.starts_with(b"slabinfo - version") || line.starts_with(b"#")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"slabinfo - version: 2.1\n# name <active_objs>\n\
        dentry 42 42 192 21 1 : tunables 0 0 0 : slabdata 2 2 0\n";

    #[test]
    fn heading_and_rows_are_the_text() {
        let heading = heading(TEXT).unwrap();
        assert!(heading.ends_with(b"<active_objs>\n"));
        let rows: Result<Vec<_>, _> = rows(TEXT).collect();
        assert_eq!([&[heading][..], &rows.unwrap()].concat().concat(), TEXT);
    }

    #[test]
    fn what_is_neither_is_an_error() {
        for text in [
            &b""[..],
            b"\n",
            b"# name\n",
            b"dentry 1 2 3 4 5\n",
            b"\0\xff",
        ] {
            assert!(heading(text).is_err(), "{}", text.escape_ascii());
        }
        for text in [
            &b"dentry 1 2 3 4\n"[..],
            b"dentry 1 2 3 4 -5\n",
            b"\0\xff\n",
        ] {
            assert!(
                rows(text).next().unwrap().is_err(),
                "{}",
                text.escape_ascii()
            );
        }
        assert_eq!(rows(b"").count(), 0);
    }
}
