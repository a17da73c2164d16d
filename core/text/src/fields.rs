//! The columns of one line, taken one by one, each by the name of what should be there.
//!
//! Columns are divided by any run of ASCII white space, so that a carriage return before the
//! newline does no harm.

use crate::error::ParseError;
use crate::number;

/// A position in the columns of one line.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Fields<'a> {
    /// The columns of `text`, which is line `line` (from 1) of its file.
    pub(crate) fn new(text: &'a [u8], line: usize) -> Self {
        Fields { rest: text, line }
    }

    /// The next column as it is.
    pub(crate) fn word(&mut self, expected: &'static str) -> Result<&'a [u8], ParseError> {
        self.next()
            .ok_or_else(|| ParseError::new(expected, self.line, b""))
    }

    /// The next column, read by `parse`.
    pub(crate) fn parse<T>(
        &mut self,
        expected: &'static str,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, ParseError> {
        let word = self.word(expected)?;
        parse(word).ok_or_else(|| ParseError::new(expected, self.line, word))
    }

    /// The next column, a number.
    pub(crate) fn u64(&mut self, expected: &'static str) -> Result<u64, ParseError> {
        self.parse(expected, number::parse_u64)
    }

    /// The next column, a number of 32 bits.
    pub(crate) fn u32(&mut self, expected: &'static str) -> Result<u32, ParseError> {
        self.parse(expected, number::parse_u32)
    }

    /// The rest of the line after the taken columns, blanks included.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Nothing may follow.
    pub(crate) fn end(mut self) -> Result<(), ParseError> {
        match self.next() {
            None => Ok(()),
            Some(word) => Err(ParseError::new("the end of the line", self.line, word)),
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest.trim_ascii_start();
        let end = text
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(end)?;
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_divided_by_any_white_space() {
        let words: Vec<_> = Fields::new(b" a\t\tb \r\n", 1).collect();
        assert_eq!(words, [&b"a"[..], b"b"]);
    }

    #[test]
    fn errors_name_the_line_and_the_column() {
        let mut fields = Fields::new(b"1 x", 7);
        assert_eq!(fields.u64("the first"), Ok(1));
        assert_eq!(
            fields.u64("the second"),
            Err(ParseError::new("the second", 7, b"x"))
        );
        assert_eq!(
            fields.word("the third"),
            Err(ParseError::new("the third", 7, b""))
        );
        assert_eq!(fields.end(), Ok(()));
        assert_eq!(
            Fields::new(b"y", 2).end(),
            Err(ParseError::new("the end of the line", 2, b"y"))
        );
    }
}
