//! Lines of plain numbers divided by blanks: a policy's `affected_cpus` (`0 1 2 3`), and a node's
//! `distance` (`10 21`), which has one column for each node that is online.
//!
//! `Documentation/admin-guide/pm/cpufreq.rst`, and `Documentation/ABI/stable/sysfs-devices-node`.

use crate::cpu_set::CpuSet;
use crate::error::ParseError;
use crate::fields::Fields;
use crate::number::push_u64;

/// The numbers of a set that is written as words.
pub fn parse_set(text: &[u8]) -> Result<CpuSet, ParseError> {
    let mut set = CpuSet::default();
    let mut fields = Fields::new(text, 1);
    while let Some(word) = fields.clone().next() {
        let number = fields.u32("a CPU number")?;
        set.insert(number);
        if !set.contains(number) {
            return Err(ParseError::new("a CPU number", 1, word));
        }
    }
    Ok(set)
}

/// Appends a set as words, without a newline.
pub fn push_set(set: &CpuSet, out: &mut Vec<u8>) {
    push_words(set.iter().map(u64::from), out);
}

/// Appends those columns of `text` whose member of `columns`, one for each in its order, is in
/// `kept`. Without a newline.
pub fn push_columns(
    text: &[u8],
    columns: &CpuSet,
    kept: &CpuSet,
    out: &mut Vec<u8>,
) -> Result<(), ParseError> {
    let mut fields = Fields::new(text, 1);
    let mut numbers = Vec::new();
    for column in columns {
        let number = fields.u64("a number for each node")?;
        if kept.contains(column) {
            numbers.push(number);
        }
    }
    fields.end()?;
    push_words(numbers, out);
    Ok(())
}

fn push_words(numbers: impl IntoIterator<Item = u64>, out: &mut Vec<u8>) {
    for (index, number) in numbers.into_iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        push_u64(out, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &[u8]) -> CpuSet {
        CpuSet::parse(text).unwrap()
    }

    #[test]
    fn sets() {
        assert_eq!(parse_set(b"0 1 2 8\n"), Ok(list(b"0-2,8")));
        assert_eq!(parse_set(b"\n"), Ok(CpuSet::default()));
        for bad in [&b"0,1"[..], b"-1", b"x", b"65536", b"4294967296"] {
            assert!(parse_set(bad).is_err(), "{}", bad.escape_ascii());
        }
        let mut out = Vec::new();
        push_set(&list(b"1,3-4"), &mut out);
        assert_eq!(out, b"1 3 4");
    }

    #[test]
    fn columns() {
        let kept = |text: &[u8], columns: &[u8], kept: &[u8]| {
            let mut out = Vec::new();
            push_columns(text, &list(columns), &list(kept), &mut out).map(|()| out)
        };
        assert_eq!(kept(b"10 21\n", b"0-1", b"0").unwrap(), b"10");
        assert_eq!(kept(b"10 21 31\n", b"0,2,4", b"2-9").unwrap(), b"21 31");
        assert!(kept(b"10\n", b"0-1", b"0").is_err());
        assert!(kept(b"10 21 31\n", b"0-1", b"0").is_err());
        assert!(kept(b"10 far\n", b"0-1", b"0-1").is_err());
    }
}
