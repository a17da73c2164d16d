//! The one error of this crate: text that is not what the kernel's documents promise.
//!
//! It says where and what, but not in which file: only the caller knows the path, and adds it.

/// Input bytes that an error quotes at most. Enough to recognise a line, too few to flood a log.
const EXCERPT: usize = 64;

/// Text that does not follow its format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}, found \"{found}\"")]
pub struct ParseError {
    /// The expected input, as a noun phrase: "a decimal number".
    pub expected: &'static str,
    /// The line it should have been in, from 1.
    pub line: usize,
    /// The actual input: at most 64 bytes of the input, escaped to printable ASCII.
    pub found: String,
}

impl ParseError {
    /// An error for line `line` (from 1), quoting the beginning of `found`.
    pub fn new(expected: &'static str, line: usize, found: &[u8]) -> Self {
        let excerpt = found.get(..EXCERPT).unwrap_or(found);
        ParseError {
            expected,
            line,
            found: excerpt.escape_ascii().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_and_what() {
        let error = ParseError::new("a decimal number", 3, b"abc");
        assert_eq!(
            error.to_string(),
            "line 3: expected a decimal number, found \"abc\""
        );
    }

    #[test]
    fn quotes_little_and_only_printable_bytes() {
        assert_eq!(
            ParseError::new("x", 1, b"\0\xff\"\n").found,
            r#"\x00\xff\"\n"#
        );
        assert_eq!(ParseError::new("x", 1, &[b'a'; 65]).found, "a".repeat(64));
    }
}
