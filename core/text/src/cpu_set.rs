//! Sets of CPU numbers, in the kernel's list format: `0-3,8`. Nodes of memory are numbered and listed
//! alike.
//!
//! Format: cpuset(7), "List format". Used by cpuset.cpus, cpuset.cpus.effective and
//! /sys/devices/system/cpu/online. A set of CPUs below 1,024 is all in its place, a larger one owns one
//! small allocation, of as many bits as its highest member needs.

use std::fmt;

use smallvec::SmallVec;

use crate::error::ParseError;
use crate::number::{parse_u32, push_u64, trim};

/// The CPU numbers that a set can hold are below this, eight times what an x86 kernel of
/// today can be built for. It bounds the memory that a malformed text can make a set take.
pub const MAX_CPUS: u32 = 65_536;

/// How many words take no memory of their own: views make a set or three in each rendering.
const IN_PLACE: usize = 16;

/// A set of CPU numbers.
// The last word is never zero, so that sets with the same members are equal word by word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuSet {
    words: SmallVec<[u64; IN_PLACE]>,
}

impl CpuSet {
    /// Reads the list format. Empty or blank text is the empty set.
    pub fn parse(text: &[u8]) -> Result<CpuSet, ParseError> {
        let mut set = CpuSet::default();
        let list = trim(text);
        if list.is_empty() {
            return Ok(set);
        }
        for part in list.split(|byte| *byte == b',') {
            let (first, last) = range(part)
                .ok_or_else(|| ParseError::new("a CPU number or an ascending range", 1, part))?;
            for cpu in first..=last {
                set.insert(cpu);
            }
        }
        Ok(set)
    }

    /// Adds `cpu`. A number that no CPU can have (from [`MAX_CPUS`] on) is left out.
    pub fn insert(&mut self, cpu: u32) {
        if cpu >= MAX_CPUS {
            return;
        }
        let (word, mask) = place(cpu);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        if let Some(bits) = self.words.get_mut(word) {
            *bits |= mask;
        }
    }

    /// Whether `cpu` is a member.
    pub fn contains(&self, cpu: u32) -> bool {
        let (word, mask) = place(cpu);
        self.words.get(word).is_some_and(|bits| bits & mask != 0)
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.words
            .iter()
            .map(|bits| bits.count_ones() as usize)
            .sum()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The members in ascending order.
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            words: self.words.iter(),
            bits: 0,
            next_base: 0,
            base: 0,
        }
    }

    /// The lowest member.
    pub fn first(&self) -> Option<u32> {
        self.iter().next()
    }

    /// How many members are lower than `cpu`, if it is one.
    pub fn position(&self, cpu: u32) -> Option<u32> {
        let (word, mask) = place(cpu);
        let bits = self.words.get(word).filter(|bits| *bits & mask != 0)?;
        let before = self.words.iter().take(word).map(|bits| bits.count_ones());
        Some(before.sum::<u32>() + (bits & (mask - 1)).count_ones())
    }

    /// The members that `other` has too.
    pub fn intersection(&self, other: &CpuSet) -> CpuSet {
        let pairs = self.words.iter().zip(&other.words);
        let mut common = CpuSet {
            words: pairs.map(|(a, b)| a & b).collect(),
        };
        common.drop_zero_words();
        common
    }

    /// Removes all but the `n` lowest members.
    pub fn keep_first(&mut self, n: usize) {
        let mut left = n;
        for bits in &mut self.words {
            let mut kept = 0;
            while *bits != 0 && left > 0 {
                let lowest = *bits & bits.wrapping_neg();
                kept |= lowest;
                *bits ^= lowest;
                left -= 1;
            }
            *bits = kept;
        }
        self.drop_zero_words();
    }

    /// Removes all members; the memory is kept for new ones.
    pub fn clear(&mut self) {
        self.words.clear();
    }

    /// Appends the set in the list format, without a newline: `0-3,8`.
    pub fn push_list(&self, out: &mut Vec<u8>) {
        let mut cpus = self.iter().peekable();
        let mut separator: &[u8] = b"";
        while let Some(first) = cpus.next() {
            let mut last = first;
            while let Some(next) = cpus.next_if(|next| *next == last + 1) {
                last = next;
            }
            out.extend_from_slice(separator);
            push_u64(out, u64::from(first));
            if last > first {
                out.push(b'-');
                push_u64(out, u64::from(last));
            }
            separator = b",";
        }
    }

    fn drop_zero_words(&mut self) {
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
    }
}

fn place(cpu: u32) -> (usize, u64) {
    ((cpu / u64::BITS) as usize, 1 << (cpu % u64::BITS))
}

fn range(part: &[u8]) -> Option<(u32, u32)> {
    let mut ends = part.splitn(2, |byte| *byte == b'-');
    let first = parse_u32(ends.next()?)?;
    let last = ends.next().map_or(Some(first), parse_u32)?;
    (first <= last && last < MAX_CPUS).then_some((first, last))
}

impl FromIterator<u32> for CpuSet {
    fn from_iter<I: IntoIterator<Item = u32>>(cpus: I) -> Self {
        let mut set = CpuSet::default();
        for cpu in cpus {
            set.insert(cpu);
        }
        set
    }
}

impl<'a> IntoIterator for &'a CpuSet {
    type Item = u32;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// As [`CpuSet::push_list`] writes it; allocates.
impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = Vec::new();
        self.push_list(&mut list);
        f.pad(&String::from_utf8_lossy(&list))
    }
}

/// Iterator over the members of a set, from [`CpuSet::iter`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    words: std::slice::Iter<'a, u64>,
    bits: u64,
    base: u32,
    next_base: u32,
}

impl Iterator for Iter<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while self.bits == 0 {
            self.bits = *self.words.next()?;
            self.base = self.next_base;
            self.next_base += u64::BITS;
        }
        let bit = self.bits.trailing_zeros();
        self.bits &= self.bits - 1;
        Some(self.base + bit)
    }
}

#[cfg(test)]
mod tests;
