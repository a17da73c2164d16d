//! /proc/cpuinfo with some CPUs left out.
//!
//! proc_cpuinfo(5); the form differs by architecture. The parser relies on:
//! - Blank lines divide the text into paragraphs, and a line `processor : N` (x86, arm, riscv,
//!   ppc64 and most others) or `cpu number : N` (s390x) begins what is said of CPU N, up to the
//!   end of its paragraph. Lines before it (MIPS has some of the whole system there) and
//!   paragraphs without one (the platform on ppc64, the board on 32-bit arm) are about no CPU.
//! - s390x starts with a summary: `# processors : COUNT`, and a line `processor N: ...` for each.
//!
//! Everything that is about no CPU, or not understood, is passed on as it is, and if all CPUs of
//! the text are visible and keep their numbers, so is everything.

mod mention;

use mention::{Kind, Mention};

use crate::cpu_set::CpuSet;
use crate::line_reader::{LineReader, is_blank};
use crate::number::push_u64;

/// Numbering of the visible CPUs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Numbering {
    /// The host's.
    Physical,
    /// 0, 1, 2... in the order of the text.
    Renumbered,
}

/// Which CPUs `text` names.
pub fn cpus(text: &[u8]) -> CpuSet {
    LineReader::new(text)
        .filter_map(|(_, line)| Mention::find(line))
        .filter(|mention| mention.kind != Kind::Count)
        .map(|mention| mention.number)
        .collect()
}

/// Appends `text` without what it says of CPUs outside `visible`.
///
/// Allocates (besides `out`) only for the summary of s390x.
pub fn filter(text: &[u8], visible: &CpuSet, numbering: Numbering, out: &mut Vec<u8>) {
    Filter {
        text,
        visible,
        numbering,
        out,
        gap: (0, 0),
        paragraphs: 0,
        summary_lines: 0,
    }
    .run();
}

struct Filter<'a> {
    text: &'a [u8],
    visible: &'a CpuSet,
    numbering: Numbering,
    out: &'a mut Vec<u8>,
    /// Blank lines held back until it is known whether something follows them: begin and end in
    /// the text. A hidden CPU takes the blank lines after it along; the last one of s390x has
    /// none, and takes those before it.
    gap: (usize, usize),
    paragraphs: u64,
    summary_lines: u64,
}

impl Filter<'_> {
    fn run(mut self) {
        let mut hidden = false;
        let mut between = true;
        let mut at = 0;
        for (_, line) in LineReader::new(self.text) {
            let start = at;
            at += line.len();
            if is_blank(line) {
                between = true;
                if !hidden {
                    self.hold_back(start, at);
                }
                continue;
            }
            if between {
                between = false;
                hidden = false;
            }
            let mention = Mention::find(line);
            if let Some(mention) = &mention
                && mention.kind == Kind::Paragraph
            {
                hidden = !self.visible.contains(mention.number);
            }
            if !hidden {
                self.push(line, mention);
            }
        }
        if between || !hidden {
            self.release_gap();
        }
    }

    fn push(&mut self, line: &[u8], mention: Option<Mention<'_>>) {
        let rewritten = match &mention {
            None => None,
            Some(mention) => match mention.kind {
                Kind::Count => self.visible_count(),
                Kind::Paragraph => self.next_number(Kind::Paragraph),
                Kind::SummaryLine if self.visible.contains(mention.number) => {
                    self.next_number(Kind::SummaryLine)
                }
                Kind::SummaryLine => return,
            },
        };
        self.release_gap();
        match mention.zip(rewritten) {
            None => self.out.extend_from_slice(line),
            Some((mention, number)) => {
                self.out.extend_from_slice(mention.before);
                push_u64(self.out, number);
                self.out.extend_from_slice(mention.after);
            }
        }
    }

    /// The number to show for the CPU that is next of its kind, if not the host's.
    fn next_number(&mut self, kind: Kind) -> Option<u64> {
        if self.numbering == Numbering::Physical {
            return None;
        }
        let shown = match kind {
            Kind::Paragraph => &mut self.paragraphs,
            _ => &mut self.summary_lines,
        };
        let number = *shown;
        *shown += 1;
        Some(number)
    }

    /// How many CPUs of the text are visible; `None` if all are.
    fn visible_count(&self) -> Option<u64> {
        let named = cpus(self.text);
        let shown = named.intersection(self.visible).len();
        (shown < named.len()).then(|| u64::try_from(shown).unwrap_or(u64::MAX))
    }

    fn hold_back(&mut self, start: usize, end: usize) {
        let (held_start, held_end) = self.gap;
        if held_start == held_end {
            self.gap = (start, end);
        } else if held_end == start {
            self.gap = (held_start, end);
        }
    }

    fn release_gap(&mut self) {
        let (start, end) = std::mem::take(&mut self.gap);
        let blank_lines = self.text.get(start..end).unwrap_or_default();
        self.out.extend_from_slice(blank_lines);
    }
}

#[cfg(test)]
mod tests;
