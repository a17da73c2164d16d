use proptest::prelude::*;

use super::*;

const X86: &str = "processor\t: 0\nmodel name\t: X\npower management:\n\n\
    processor\t: 1\nmodel name\t: X\npower management:\n\n\
    processor\t: 2\nmodel name\t: X\npower management:\n\n";
const ARM64: &str = "processor\t: 0\nBogoMIPS\t: 50.00\n\nprocessor\t: 1\nBogoMIPS\t: 50.00\n\n";
const ARM32: &str = "processor\t: 0\nmodel name\t: ARMv7\n\nprocessor\t: 1\nmodel name\t: ARMv7\n\n\
    Hardware\t: BCM2835\nRevision\t: a020d3\n";
const RISCV: &str =
    "processor\t: 0\nhart\t\t: 1\nisa\t\t: rv64gc\n\nprocessor\t: 1\nhart\t\t: 0\n\n";
const PPC64: &str = "processor\t: 0\ncpu\t\t: POWER9\n\nprocessor\t: 8\ncpu\t\t: POWER9\n\n\
    timebase\t: 512000000\nplatform\t: pSeries\n";
const MIPS: &str = "system type\t\t: X\nprocessor\t\t: 0\ncpu model\t\t: Y\n\n\
    processor\t\t: 1\ncpu model\t\t: Y\n\n";
const S390X: &str = "vendor_id       : IBM/S390\n# processors    : 2\nmax thread id   : 0\n\
    cache0          : level=1 type=Data\n\
    processor 0: version = FF,  identification = 1A, machine = 3906\n\
    processor 1: version = FF,  identification = 1B, machine = 3906\n\n\
    cpu number      : 0\nphysical id     : 1\n\ncpu number      : 1\nphysical id     : 2\n";

const ALL: [&str; 7] = [X86, ARM64, ARM32, RISCV, PPC64, MIPS, S390X];

fn shown(text: &str, visible: &str, numbering: Numbering) -> String {
    let visible = CpuSet::parse(visible.as_bytes()).unwrap();
    let mut out = Vec::new();
    filter(text.as_bytes(), &visible, numbering, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn names_the_cpus_of_each_form() {
    let rows = [(X86, "0-2"), (ARM64, "0-1"), (ARM32, "0-1"), (RISCV, "0-1")];
    let more = [(PPC64, "0,8"), (MIPS, "0-1"), (S390X, "0-1"), ("", "")];
    for (text, expected) in rows.into_iter().chain(more) {
        assert_eq!(cpus(text.as_bytes()).to_string(), expected, "{text}");
    }
}

#[test]
fn all_visible_is_the_same_text() {
    for text in ALL {
        assert_eq!(shown(text, "0-8", Numbering::Physical), text);
    }
}

#[test]
fn hides_paragraphs() {
    let x86 = |cpu| format!("processor\t: {cpu}\nmodel name\t: X\npower management:\n\n");
    let rows = [
        (X86, "0,2", x86(0) + &x86(2)),
        (X86, "1", x86(1)),
        (X86, "0-1", x86(0) + &x86(1)),
        (X86, "", String::new()),
        (X86.trim_end(), "0", x86(0).trim_end().to_owned() + "\n"),
        (
            ARM64,
            "1",
            "processor\t: 1\nBogoMIPS\t: 50.00\n\n".to_owned(),
        ),
        (
            RISCV,
            "0",
            "processor\t: 0\nhart\t\t: 1\nisa\t\t: rv64gc\n\n".to_owned(),
        ),
    ];
    for (text, visible, expected) in rows {
        let found = shown(text, visible, Numbering::Physical);
        assert_eq!(found, expected, "CPUs {visible}");
    }
}

#[test]
fn keeps_what_is_about_no_cpu() {
    assert_eq!(
        shown(ARM32, "1", Numbering::Physical),
        "processor\t: 1\nmodel name\t: ARMv7\n\nHardware\t: BCM2835\nRevision\t: a020d3\n"
    );
    assert_eq!(
        shown(PPC64, "0", Numbering::Physical),
        "processor\t: 0\ncpu\t\t: POWER9\n\ntimebase\t: 512000000\nplatform\t: pSeries\n"
    );
    assert_eq!(
        shown(MIPS, "1", Numbering::Physical),
        "system type\t\t: X\nprocessor\t\t: 1\ncpu model\t\t: Y\n\n"
    );
}

#[test]
fn renumbers_in_order() {
    assert_eq!(
        shown(X86, "1-2", Numbering::Renumbered),
        "processor\t: 0\nmodel name\t: X\npower management:\n\n\
         processor\t: 1\nmodel name\t: X\npower management:\n\n"
    );
    assert_eq!(
        shown(PPC64, "8", Numbering::Renumbered),
        "processor\t: 0\ncpu\t\t: POWER9\n\ntimebase\t: 512000000\nplatform\t: pSeries\n"
    );
}

#[test]
fn s390x_counts_what_it_shows() {
    let head = "vendor_id       : IBM/S390\n# processors    : 1\nmax thread id   : 0\n\
        cache0          : level=1 type=Data\n";
    let line = "version = FF,  identification =";
    assert_eq!(
        shown(S390X, "0", Numbering::Physical),
        format!(
            "{head}processor 0: {line} 1A, machine = 3906\n\n\
             cpu number      : 0\nphysical id     : 1\n"
        )
    );
    assert_eq!(
        shown(S390X, "1,5", Numbering::Physical),
        format!(
            "{head}processor 1: {line} 1B, machine = 3906\n\n\
             cpu number      : 1\nphysical id     : 2\n"
        )
    );
    assert_eq!(
        shown(S390X, "1", Numbering::Renumbered),
        format!(
            "{head}processor 0: {line} 1B, machine = 3906\n\n\
             cpu number      : 0\nphysical id     : 2\n"
        )
    );
}

#[test]
fn odd_lines_are_passed_on() {
    let odd = [
        "processor\t: x\na\n\n",
        "processor\t: -1\n",
        "processor\t: 99999999999999999999\n",
        "processor\t: 70000\n",
        "processor\t: 1 2\n",
        "processor : \n",
        "processor0: x\n",
        "processors\t: 0\n",
        "Processor\t: ARMv6\n",
        "cpu number 0\n",
        "# processors : max\n",
        "\n\n",
        "",
    ];
    for text in odd {
        assert_eq!(shown(text, "", Numbering::Physical), text);
    }
    assert_eq!(
        shown(
            "processor\t: 1\r\na\r\n\r\nb\0\r\n",
            "0",
            Numbering::Physical
        ),
        "b\0\r\n"
    );
    assert_eq!(
        shown("processor: 3", "3", Numbering::Renumbered),
        "processor: 0"
    );
}

/// Paragraphs in any order, with any gaps, and lines that are nearly right.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        3 => (0..6_u32).prop_map(|cpu| format!("processor\t: {cpu}\n").into_bytes()),
        1 => (0..6_u32).prop_map(|cpu| format!("processor {cpu}: x\n").into_bytes()),
        1 => (0..6_u32).prop_map(|cpu| format!("cpu number : {cpu}\n").into_bytes()),
        1 => (0..6_u32).prop_map(|n| format!("# processors : {n}\n").into_bytes()),
        3 => Just(b"\n".to_vec()),
        2 => Just(b"model : x\n".to_vec()),
        1 => any::<Vec<u8>>(),
    ];
    proptest::collection::vec(line, 0..30).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn all_of_its_own_cpus_is_the_same_text(text in texts()) {
        let mut out = b"before".to_vec();
        filter(&text, &cpus(&text), Numbering::Physical, &mut out);
        prop_assert_eq!(out.strip_prefix(b"before"), Some(&text[..]));
    }

    #[test]
    fn any_bytes_are_passed_on(text: Vec<u8>) {
        let mut out = Vec::new();
        filter(&text, &cpus(&text), Numbering::Physical, &mut out);
        prop_assert_eq!(out, text);
    }

    #[test]
    fn shows_no_hidden_cpu(text in texts(), visible in 0..64_u64) {
        let visible: CpuSet = (0..6).filter(|cpu| visible >> cpu & 1 == 1).collect();
        let mut out = Vec::new();
        filter(&text, &visible, Numbering::Physical, &mut out);
        let left = cpus(&out);
        prop_assert_eq!(left.intersection(&visible), left);
    }

    #[test]
    fn paragraphs_count_from_zero_when_renumbered(hidden in 0..256_u32) {
        let text: Vec<u8> = (0..8)
            .flat_map(|cpu| format!("processor\t: {cpu}\nx\t: y\n\n").into_bytes())
            .collect();
        let visible: CpuSet = (0..8).filter(|cpu| hidden >> cpu & 1 == 0).collect();
        let mut out = Vec::new();
        filter(&text, &visible, Numbering::Renumbered, &mut out);
        let expected: String = (0..visible.len())
            .map(|cpu| format!("processor\t: {cpu}\nx\t: y\n\n"))
            .collect();
        prop_assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
