//! Every parser on arbitrary bytes, and on valid texts with a few bytes changed, which get further
//! into a parser. A new parser gets a line in [`read_with_everything`] and a sample.

use std::hint::black_box;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::cpuinfo::Numbering;
use crate::{
    CpuSet, cpu_mask, cpuacct, cpuinfo, flat_keyed, meminfo, mountinfo, numa_stat, number,
    number_words, pid_cgroup, pid_stat, pid_status, quota, single_value, stat, time_offsets,
    uptime,
};

const SAMPLES: &[&[u8]] = &[
    b"max 100000\n",
    b"9223372036854771712\n",
    b"anon 4096\nfile 8192\n",
    b"0-3,8,65535\n",
    b"MemTotal:       24684092 kB\nHugePages_Total:       0\nNode 0 MemFree:  1 kB\n",
    b"processor\t: 0\nmodel\t: x\n\nprocessor\t: 1\nmodel\t: x\n\n",
    b"# processors    : 2\nprocessor 0: v\nprocessor 1: v\n\ncpu number : 0\n\ncpu number : 1\n",
    b"cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 1\n",
    b"12.34 56.78\n",
    b"42 (a b) S 1 42 42 0 -1 4194560 523 0 7 0 12 9 0 0 20 0 3 0 86400 170\n",
    b"Name:\tx\nTgid:\t1\nPPid:\t0\nNSpid:\t10\t1\n",
    b"12:cpu,cpuacct:/a\n0::/b\n",
    b"30 22 0:26 /a\\040b /mnt\\134 rw master:1 - cgroup none rw,cpu\n",
    b"monotonic 0 0\nboottime -86400 999999999\n",
    b"cpu user system\n0 10 20\n1 30 40\n",
    b"ffffffff,00000005\n",
    b"10 21 31\n",
    b"total=7 N0=5 N1=2\nanon N0=4096 N1=0\n",
];

fn read_with_everything(text: &[u8]) {
    black_box((
        number::parse_u64(text),
        number::parse_u32(text),
        number::parse_i64(text),
        number::trim(text),
    ));
    black_box(single_value::number(text).is_ok());
    black_box(single_value::signed(text).is_ok());
    black_box(single_value::limit_v2(text).is_ok());
    for page_size in [0, 1, 4096, u64::MAX] {
        black_box(single_value::limit_v1(text, page_size).is_ok());
    }
    black_box(quota::parse(text).is_ok());
    black_box(flat_keyed::entries(text).count());
    black_box(flat_keyed::find(text, b"file").is_ok());
    black_box(stat::lines(text).count());
    black_box(stat::cpu_times(text).count());
    black_box(uptime::parse(text).is_ok());
    black_box(pid_stat::parse(text).is_ok());
    black_box(pid_status::ns_pid_innermost(text).is_ok());
    black_box(pid_status::ns_pid_depth(text).is_ok());
    black_box(pid_status::tgid(text).is_ok());
    black_box(pid_status::ppid(text).is_ok());
    for membership in pid_cgroup::memberships(text).flatten() {
        black_box(membership.has(b"cpu"));
    }
    for mount in mountinfo::mounts(text).flatten() {
        black_box(mount.has_option(b"cpu"));
    }
    if let Ok(offset) = time_offsets::boottime(text) {
        black_box((offset.apply(Duration::ZERO), offset.apply(Duration::MAX)));
    }
    black_box(cpuacct::usage_all(text).count());
    black_box(cpuacct::usage_percpu(text).count());

    let mut out = Vec::new();
    black_box(meminfo::get(text, b"MemTotal"));
    for line in meminfo::lines(text).flatten() {
        line.push_with(u64::MAX, &mut out);
        line.push_with(0, &mut out);
    }
    let set = CpuSet::parse(text).unwrap_or_default();
    set.push_list(&mut out);
    if let Ok(mask) = cpu_mask::parse(text) {
        cpu_mask::push_like(text, &mask, &mut out);
    }
    if let Ok(words) = number_words::parse_set(text) {
        number_words::push_set(&words, &mut out);
    }
    for columns in [&set, &(0..3).collect()] {
        black_box(number_words::push_columns(text, columns, &set, &mut out).is_ok());
    }
    for entry in numa_stat::entries(text).flatten() {
        black_box(entry.nodes().count());
    }
    black_box(flat_keyed::push_zeroed(text, &mut out).is_ok());
    for numbering in [Numbering::Physical, Numbering::Renumbered] {
        cpuinfo::filter(text, &set, numbering, &mut out);
        cpuinfo::filter(text, &cpuinfo::cpus(text), numbering, &mut out);
    }
    black_box(out);
}

#[derive(Debug, Clone)]
enum Edit {
    Replace(u8),
    Insert(Vec<u8>),
    Remove,
    Cut,
}

/// Bytes that mean something to some parser, and some that mean nothing to any.
fn edits() -> impl Strategy<Value = Edit> {
    let telling: Vec<u8> = b"0179-:,.() \t\r\n\\#\0\xff".to_vec();
    let long_number = || Just(b"99999999999999999999".to_vec());
    prop_oneof![
        4 => select(telling).prop_map(Edit::Replace),
        1 => any::<u8>().prop_map(Edit::Replace),
        1 => long_number().prop_map(Edit::Insert),
        1 => proptest::collection::vec(any::<u8>(), 1..4).prop_map(Edit::Insert),
        2 => Just(Edit::Remove),
        1 => Just(Edit::Cut),
    ]
}

fn edited(sample: &[u8], edits: Vec<(Index, Edit)>) -> Vec<u8> {
    let mut text = sample.to_vec();
    for (place, edit) in edits {
        let at = place.index(text.len() + 1);
        match edit {
            Edit::Insert(bytes) => drop(text.splice(at..at, bytes)),
            Edit::Cut => text.truncate(at),
            Edit::Replace(byte) => text.iter_mut().skip(at).take(1).for_each(|old| *old = byte),
            Edit::Remove => drop(text.drain(at..text.len().min(at + 1))),
        }
    }
    text
}

#[test]
fn on_the_samples_as_they_are() {
    for sample in SAMPLES {
        read_with_everything(sample);
    }
}

proptest! {
    #[test]
    fn on_any_bytes(text: Vec<u8>) {
        read_with_everything(&text);
    }

    #[test]
    fn on_nearly_valid_text(
        sample in select(SAMPLES),
        edits in proptest::collection::vec((any::<Index>(), edits()), 1..8),
    ) {
        read_with_everything(&edited(sample, edits));
    }
}
