//! Ways to corrupt a text.

/// A way to corrupt a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoilt {
    Empty,
    Garbage,
    CutInTheMiddle,
    Negative,
    TooManyDigits,
    LargestNumber,
    NotUtf8,
    Nuls,
    OneLineTooLong,
}

pub(crate) const WAYS: [Spoilt; 9] = [
    Spoilt::Empty,
    Spoilt::Garbage,
    Spoilt::CutInTheMiddle,
    Spoilt::Negative,
    Spoilt::TooManyDigits,
    Spoilt::LargestNumber,
    Spoilt::NotUtf8,
    Spoilt::Nuls,
    Spoilt::OneLineTooLong,
];

impl Spoilt {
    /// Returns the corrupted text.
    pub(crate) fn apply(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Empty => Vec::new(),
            Self::Garbage => b"!%&/ what is this\nand this?\n".to_vec(),
            Self::CutInTheMiddle => text[..text.len() / 2].to_vec(),
            Self::Negative => with_numbers(text, |number| format!("-{number}")),
            Self::TooManyDigits => with_numbers(text, |_| "9".repeat(25)),
            Self::LargestNumber => with_numbers(text, |_| u64::MAX.to_string()),
            Self::NotUtf8 => [b"\xff\xfe\xc3(", text, b"\x80"].concat(),
            Self::Nuls => vec![0; 100],
            Self::OneLineTooLong => {
                let blank = |byte: &u8| if *byte == b'\n' { b' ' } else { *byte };
                text.repeat(3).iter().map(blank).collect()
            }
        }
    }

    /// Whether a file of numbers cannot be parsed after this corruption.
    pub(crate) fn is_unreadable(self) -> bool {
        matches!(
            self,
            Self::Garbage | Self::TooManyDigits | Self::NotUtf8 | Self::Nuls
        )
    }
}

/// Replaces each separate number, or "max", in `text`.
fn with_numbers(text: &[u8], new: impl Fn(&str) -> String) -> Vec<u8> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let is_end = |c: char| c.is_whitespace() || matches!(c, ',' | '-' | '=');
    let mut out = String::new();
    for word in text.split_inclusive(is_end) {
        let number = word.trim_end_matches(is_end);
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        if is_number || number == "max" {
            out += &new(number);
        } else {
            out += number;
        }
        out += &word[number.len()..];
    }
    out.into_bytes()
}
