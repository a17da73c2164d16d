//! Texts with a line or a block of lines for each CPU, with some CPUs left out.
//!
//! A line is about a CPU if its first word is `cpuN` (as in /proc/stat and /proc/schedstat), `cpuN:`,
//! or if it is `cpu: N` or `processor : N` (as in /proc/timer_list and /proc/cpuinfo). After `cpuN` the
//! lines that follow are about something else; after the others they are about that CPU up to a blank
//! line.

use crate::cpu_set::CpuSet;
use crate::cpuinfo::Numbering;
use crate::line_reader::{LineReader, is_blank};
use crate::number::{parse_u32, push_u64};

/// Appends `text` without what is about CPUs outside `visible`.
pub fn filter(text: &[u8], visible: &CpuSet, numbering: Numbering, out: &mut Vec<u8>) {
    // In a block of a CPU that is not shown.
    let mut is_hidden = false;
    for (_, line) in LineReader::new(text) {
        let Some(mention) = mention(line) else {
            if !is_hidden {
                out.extend_from_slice(line);
            }
            is_hidden &= !is_blank(line);
            continue;
        };
        let position = visible.position(mention.cpu);
        is_hidden = mention.begins_block && position.is_none();
        let Some(position) = position else {
            continue;
        };
        match numbering {
            Numbering::Physical => out.extend_from_slice(line),
            Numbering::Renumbered => {
                out.extend_from_slice(mention.before);
                push_u64(out, position.into());
                out.extend_from_slice(mention.after);
            }
        }
    }
}

struct Mention<'t> {
    cpu: u32,
    before: &'t [u8],
    after: &'t [u8],
    begins_block: bool,
}

fn mention(line: &[u8]) -> Option<Mention<'_>> {
    let key = |key: &[u8]| {
        let rest = line
            .strip_prefix(key)?
            .trim_ascii_start()
            .strip_prefix(b":")?;
        Some(rest.trim_ascii_start())
    };
    let (rest, begins_block) = match key(b"processor").or_else(|| key(b"cpu")) {
        Some(rest) => (rest, true),
        None => (line.strip_prefix(b"cpu")?, false),
    };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, after) = rest.split_at_checked(length)?;
    let ends = |byte: &u8| byte.is_ascii_whitespace() || *byte == b':';
    if !after.first().is_none_or(ends) {
        return None;
    }
    Some(Mention {
        cpu: parse_u32(number)?,
        before: line.get(..line.len() - rest.len())?,
        after,
        begins_block,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filtered(text: &str, visible: &str, numbering: Numbering) -> String {
        let visible = CpuSet::parse(visible.as_bytes()).unwrap();
        let mut out = Vec::new();
        filter(text.as_bytes(), &visible, numbering, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_of_other_cpus_are_left_out() {
        let text = "cpu 6\ncpu0 1 2\ncpu1 3\ncpu10 4\ncpux 5\ncpu1x\nintr 9\n";
        let some = filtered(text, "1-2,10", Numbering::Physical);
        assert_eq!(some, "cpu 6\ncpu1 3\ncpu10 4\ncpux 5\ncpu1x\nintr 9\n");
        let renumbered = filtered(text, "1,10", Numbering::Renumbered);
        assert!(renumbered.contains("cpu0 3\ncpu1 4\n"), "{renumbered}");
    }

    #[test]
    fn blocks_of_other_cpus_are_left_out() {
        let text = "top\n\nprocessor\t: 0\nflags : a\n\nprocessor\t: 1\nflags : b\n\nend\n";
        let some = filtered(text, "1", Numbering::Renumbered);
        assert_eq!(some, "top\n\nprocessor\t: 0\nflags : b\n\nend\n");
        assert_eq!(
            filtered("cpu: 0\n a\n\ncpu: 1\n b", "0", Numbering::Physical),
            "cpu: 0\n a\n\n"
        );
    }

    proptest! {
        #[test]
        fn with_every_cpu_it_is_the_text(
            text in "(cpu[0-9]{0,2}|processor|:| |\n|[a-z]{1,4}){0,40}"
        ) {
            prop_assert_eq!(filtered(&text, "0-99", Numbering::Physical), text);
        }
    }
}
