//! Sets of CPU numbers as hexadecimal masks: `f`, `00000000,0000000f`.
//!
//! Format: cpuset(7), "Mask format". Used by the topology and cache files below
//! /sys/devices/system/cpu and by cpumap of a node. The lowest bit is at the end; words of 32 bits
//! are divided by commas, and how many there are depends on the CPUs that the kernel can have. So a
//! mask is written in the layout of one that the kernel wrote.

use crate::cpu_set::{CpuSet, MAX_CPUS};
use crate::error::ParseError;
use crate::number::trim;

const BITS_PER_DIGIT: u32 = 4;

/// Reads a mask.
pub fn parse(text: &[u8]) -> Result<CpuSet, ParseError> {
    let mask = trim(text);
    let bad = || ParseError::new("a hexadecimal mask", 1, mask);
    let mut set = CpuSet::default();
    let mut base = 0;
    for byte in mask.iter().rev().filter(|byte| **byte != b',') {
        let digit = char::from(*byte).to_digit(16).ok_or_else(bad)?;
        if base >= MAX_CPUS {
            return Err(bad());
        }
        let bits = (0..BITS_PER_DIGIT).filter(|bit| digit & (1 << bit) != 0);
        bits.for_each(|bit| set.insert(base + bit));
        base += BITS_PER_DIGIT;
    }
    if base == 0 { Err(bad()) } else { Ok(set) }
}

/// Appends `set` in the layout of `like`, a mask that [`parse`] has read. A member that has no place
/// there is left out.
pub fn push_like(like: &[u8], set: &CpuSet, out: &mut Vec<u8>) {
    let is_digit = |byte: &&u8| byte.is_ascii_hexdigit();
    let digits = like.iter().filter(is_digit).count();
    let mut base = u32::try_from(digits)
        .unwrap_or(0)
        .saturating_mul(BITS_PER_DIGIT);
    for byte in like {
        if !byte.is_ascii_hexdigit() {
            out.push(*byte);
            continue;
        }
        base = base.saturating_sub(BITS_PER_DIGIT);
        let bits = (0..BITS_PER_DIGIT).filter(|bit| set.contains(base + bit));
        let digit = bits.fold(0, |digit, bit| digit | 1 << bit);
        out.push(b"0123456789abcdef"[digit]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn members(text: &[u8]) -> Option<Vec<u32>> {
        parse(text).ok().map(|set| set.iter().collect())
    }

    #[test]
    fn masks() {
        let rows: [(&[u8], Option<Vec<u32>>); 12] = [
            (b"0\n", Some(vec![])),
            (b"3\n", Some(vec![0, 1])),
            (b"F", Some(vec![0, 1, 2, 3])),
            (b"00000000,00000005\n", Some(vec![0, 2])),
            (b"1,00000000\n", Some(vec![32])),
            (b"80000000,00000000,00000001\n", Some(vec![0, 95])),
            (b"", None),
            (b"\n", None),
            (b",\n", None),
            (b"0x3", None),
            (b"3 3", None),
            (b"\xff", None),
        ];
        for (text, expected) in rows {
            assert_eq!(members(text), expected, "{}", text.escape_ascii());
        }
        assert_eq!(members(&b"f".repeat(16_385)), None, "more than MAX_CPUS");
    }

    #[test]
    fn the_layout_stays() {
        let shown = |like: &[u8], list: &[u8]| {
            let mut out = Vec::new();
            push_like(like, &CpuSet::parse(list).unwrap(), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(b"3\n", b"1"), "2\n");
        assert_eq!(shown(b"f\n", b"0-7"), "f\n");
        assert_eq!(
            shown(b"ff,ffffffff\n", b"0,31-33,63"),
            "03,80000001\n",
            "63 has no place"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(cpus in proptest::collection::vec(0..256_u32, 0..20)) {
            let set: CpuSet = cpus.into_iter().collect();
            let like = [&b"00000000,"[..]; 8].concat();
            let mut out = Vec::new();
            push_like(like.strip_suffix(b",").unwrap(), &set, &mut out);
            prop_assert_eq!(parse(&out), Ok(set));
        }
    }
}
