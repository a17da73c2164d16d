//! Numbers in a persistent record: 64 bits each, little-endian.

/// Appends numbers.
pub fn push(out: &mut Vec<u8>, numbers: &[u64]) {
    out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

/// Takes numbers off the front; `None` if there are fewer than `N`.
#[must_use]
pub fn take<const N: usize>(record: &mut &[u8]) -> Option<[u64; N]> {
    let mut numbers = [0; N];
    for number in &mut numbers {
        let (bytes, rest) = record.split_first_chunk()?;
        *number = u64::from_le_bytes(*bytes);
        *record = rest;
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_can_be_taken() {
        let mut record = Vec::new();
        push(&mut record, &[1, u64::MAX, 3]);
        let mut rest = &record[..];
        assert_eq!(take(&mut rest), Some([1, u64::MAX]));
        assert_eq!(take::<2>(&mut &rest[..]), None);
        assert_eq!(take(&mut rest), Some([3]));
        assert_eq!(take::<0>(&mut rest), Some([]));
        assert_eq!(take::<1>(&mut &record[..7]), None);
    }
}
