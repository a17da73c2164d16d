//! Decimal numbers, to and from bytes.
//!
//! The readers take the whole slice and nothing but digits: no sign, no blanks, no prefix, as the
//! kernel prints them. Own digit loops, because a view writes a few thousand numbers per read and
//! `core::fmt` would be most of its time.

/// Digits of `u64::MAX`.
const MAX_DIGITS: usize = 20;

/// The number that `text` consists of; `None` if it holds anything else or does not fit.
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// As [`parse_u64`], for numbers that fit 32 bits.
pub fn parse_u32(text: &[u8]) -> Option<u32> {
    u32::try_from(parse_u64(text)?).ok()
}

/// As [`parse_u64`], with a leading `-` allowed (a `+` is not).
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        // Subtracted from zero, as i64::MIN has no positive counterpart.
        Some(magnitude) => 0_i64.checked_sub_unsigned(parse_u64(magnitude)?),
        None => i64::try_from(parse_u64(text)?).ok(),
    }
}

/// `text` without ASCII white space at both ends.
pub fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

/// Appends `n`.
pub fn push_u64(out: &mut Vec<u8>, n: u64) {
    push_u64_right(out, n, 0);
}

/// Appends `n`, with blanks before it if it has fewer than `width` digits.
pub fn push_u64_right(out: &mut Vec<u8>, n: u64, width: usize) {
    let mut buffer = [0_u8; MAX_DIGITS];
    let mut rest = n;
    let mut digits = 0_usize;
    for slot in buffer.iter_mut().rev() {
        *slot = b'0' + (rest % 10) as u8;
        rest /= 10;
        digits += 1;
        if rest == 0 {
            break;
        }
    }
    push_blanks(out, width.saturating_sub(digits));
    out.extend_from_slice(buffer.get(MAX_DIGITS - digits..).unwrap_or_default());
}

/// Appends `count` blanks.
pub(crate) fn push_blanks(out: &mut Vec<u8>, count: usize) {
    out.extend(std::iter::repeat_n(b' ', count));
}

/// How many digits `n` is written with.
pub(crate) fn digits(n: u64) -> usize {
    n.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests;
