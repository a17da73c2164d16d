//! memory.numa_stat of a cgroup: statistics by node of memory.
//!
//! `memory.rst` for v1, in pages: `total=44611 N0=32631 N1=11980`; `cgroup-v2.rst` for v2, in bytes:
//! `anon N0=4096 N1=0`. Blank lines are skipped.

use crate::cpu_set::MAX_CPUS;
use crate::error::ParseError;
use crate::fields::Fields;
use crate::line_reader::{LineReader, is_blank};
use crate::number::{parse_u32, parse_u64};

/// One line.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Name of the counter, without the sum that v1 appends.
    pub key: &'a [u8],
    nodes: Fields<'a>,
    line: usize,
}

/// The lines of `text` in its order. A line that does not begin as one is an error item.
pub fn entries(text: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, ParseError>> {
    let lines = LineReader::new(text).filter(|(_, line)| !is_blank(line));
    lines.map(|(number, line)| entry(line, number))
}

impl<'a> Entry<'a> {
    /// Each node with its number of pages or bytes.
    pub fn nodes(&self) -> impl Iterator<Item = Result<(u32, u64), ParseError>> + use<'a> {
        let line = self.line;
        self.nodes.clone().map(move |word| {
            node(word).ok_or_else(|| ParseError::new("N, a node, = and a number", line, word))
        })
    }
}

fn entry(line: &[u8], number: usize) -> Result<Entry<'_>, ParseError> {
    let mut nodes = Fields::new(line, number);
    let word = nodes.word("a key")?;
    let key = match word.iter().position(|byte| *byte == b'=') {
        None => word,
        Some(at) => {
            let (key, sum) = word.split_at(at);
            let sum = sum.strip_prefix(b"=").and_then(parse_u64);
            sum.ok_or_else(|| ParseError::new("a sum after the key", number, word))?;
            key
        }
    };
    Ok(Entry {
        key,
        nodes,
        line: number,
    })
}

fn node(word: &[u8]) -> Option<(u32, u64)> {
    let word = word.strip_prefix(b"N")?;
    let at = word.iter().position(|byte| *byte == b'=')?;
    let (node, value) = word.split_at(at);
    let node = parse_u32(node).filter(|node| *node < MAX_CPUS)?;
    Some((node, parse_u64(value.strip_prefix(b"=")?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row<'a> = (&'a [u8], Vec<(u32, u64)>);

    fn read(text: &[u8]) -> Result<Vec<Row<'_>>, ParseError> {
        entries(text)
            .map(|entry| {
                let entry = entry?;
                Ok((entry.key, entry.nodes().collect::<Result<_, _>>()?))
            })
            .collect()
    }

    #[test]
    fn both_forms() {
        let v1 = read(b"total=7 N0=5 N1=2\nhierarchical_total=9 N0=5 N1=4\n").unwrap();
        assert_eq!(v1[0], (&b"total"[..], vec![(0, 5), (1, 2)]));
        assert_eq!(v1[1].0, b"hierarchical_total");
        let v2 = read(b"anon N0=4096 N1=0\n\nfile N0=1\n").unwrap();
        assert_eq!(v2[0], (&b"anon"[..], vec![(0, 4096), (1, 0)]));
        assert_eq!(v2.len(), 2);
        assert_eq!(read(b""), Ok(Vec::new()));
    }

    #[test]
    fn what_is_not_a_number_of_a_node_is_an_error() {
        for bad in [
            &b"anon N0"[..],
            b"anon 0=1",
            b"anon N0=-1",
            b"anon N=1",
            b"anon N0=x",
            b"anon N99999=1",
            b"anon N0=99999999999999999999",
            b"total=x N0=1",
        ] {
            assert!(read(bad).is_err(), "{}", bad.escape_ascii());
        }
    }
}
