//! Lines with their numbers: what every parser of more than one line starts from.

/// Yields each line with its number (from 1) and its newline, if it had one. The lines put
/// together are the text.
#[derive(Debug, Clone)]
pub(crate) struct LineReader<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> LineReader<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        LineReader {
            rest: text,
            number: 0,
        }
    }
}

impl<'a> Iterator for LineReader<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let newline = self.rest.iter().position(|byte| *byte == b'\n');
        let end = newline.map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        self.number = self.number.saturating_add(1);
        Some((self.number, line))
    }
}

/// `line` without its newline. Nothing else is cut off: a path may end in any other byte.
pub(crate) fn without_newline(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// Whether there is nothing but white space in `line`.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii_start().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_keep_their_newline() {
        let lines: Vec<_> = LineReader::new(b"a\n\nb").collect();
        assert_eq!(lines, [(1, &b"a\n"[..]), (2, b"\n"), (3, b"b")]);
        assert_eq!(LineReader::new(b"").count(), 0);
        assert_eq!(LineReader::new(b"\n").count(), 1);
    }

    #[test]
    fn only_the_newline_is_cut_off() {
        assert_eq!(without_newline(b"a \r\n"), b"a \r");
        assert_eq!(without_newline(b"a"), b"a");
    }
}
