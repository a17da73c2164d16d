//! Every parser on arbitrary bytes, and on valid texts with a few bytes changed, which get further
//! into a parser. A new parser gets a line in [`read_with_everything`] and a sample.

use std::hint::black_box;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::cpuinfo::Numbering;
use crate::{
    CpuSet, IdMap, IoCounts, blkio, cpu_columns, cpu_lines, cpu_mask, cpuacct, cpuinfo, diskstats,
    flat_keyed, io_stat, kstat, loadavg, meminfo, mountinfo, numa_stat, number, number_words,
    partitions, pid_cgroup, pid_stat, pid_status, pressure, quota, schedstat, single_value,
    slabinfo, stat, swaps, time_offsets, uptime, zoneinfo,
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
    b"0.16 0.03 0.01 2/340 1234\n",
    b"42 (a b) S 1 42 42 0 -1 4194560 523 0 7 0 12 9 0 0 20 0 3 0 86400 170\n",
    b"Name:\tx\nTgid:\t1\nPPid:\t0\nNSpid:\t10\t1\nCapEff:\t000001ffffffffff\n",
    b"Groups:\t0 5 100 \n",
    b"0 100000 65536\n",
    b"12:cpu,cpuacct:/a\n0::/b\n",
    b"30 22 0:26 /a\\040b /mnt\\134 rw master:1 - cgroup none rw,cpu\n",
    b"monotonic 0 0\nboottime -86400 999999999\n",
    b"cpu user system\n0 10 20\n1 30 40\n",
    b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/a  file\t\t1\t\t0\t\t-2\n",
    b"7:7 254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n(unknown) rbytes=7\n",
    b"254:0 Read 1\n254:0 Sync 1\n(unknown) Write 2\nTotal 1\n",
    b" 254       0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n",
    b"major minor  #blocks  name\n\n 254        0    4194304 vda\n",
    b"   CPU0  CPU2  \n 1:  5  6  timer\nERR:  0\n",
    b"version 17\ntimestamp 1\ncpu0 1 2\ndomain0 SMT 3 0\ncpu1 1 2\n",
    b"Node 0, zone DMA\n  pages free 1\n min 2\n pagesets\n cpu: 1\n count: 3\n high: 4\n",
    b"slabinfo - version: 2.1\n# name\ndentry 1 2 3 4 5 : tunables 0 0 0\n",
    b"some 150000 2000000\n",
    b"9 1 0x01 147\nname type data\nsize                            4    8589934592\n",
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
    black_box(loadavg::last_pid(text).is_ok());
    black_box(pid_stat::parse(text).is_ok());
    black_box(pid_status::ns_pid_innermost(text).is_ok());
    black_box(pid_status::ns_pids(text).is_ok());
    black_box(pid_status::groups(text).is_ok());
    black_box(IdMap::parse(text).is_ok_and(|map| map.has(7)));
    black_box(pid_status::tgid(text).is_ok());
    black_box(pid_status::ppid(text).is_ok());
    black_box(pid_status::effective_capabilities(text).is_ok());
    black_box(pid_status::is_ending(text).is_ok());
    black_box(pressure::window(&pressure::as_in_proc(text)));
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
    black_box(io_stat::devices(text).count());
    black_box(blkio::counters(text).count());
    black_box(partitions::lines(text).count());
    black_box(slabinfo::heading(text).is_ok());
    black_box(kstat::push_zeroed(text, &mut Vec::new()).is_ok());
    black_box(slabinfo::rows(text).count());

    let mut out = Vec::new();
    black_box(meminfo::get(text, b"MemTotal"));
    for line in meminfo::lines(text).flatten() {
        line.push_with(u64::MAX, &mut out);
        line.push_with(0, &mut out);
    }
    for line in diskstats::lines(text).flatten() {
        line.push_with(&IoCounts::default(), &mut out);
    }
    if let Ok(header) = swaps::header(text) {
        let (name, kind) = (text, text);
        let (size, used, priority) = (u64::MAX, 0, 0);
        let area = swaps::Area {
            name,
            kind,
            size,
            used,
            priority,
        };
        header.push_area(&area, &mut out);
    }
    let set = CpuSet::parse(text).unwrap_or_else(|_| [0, 2].into_iter().collect());
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
        black_box(cpu_columns::filter(text, &set, numbering, &mut out).is_ok());
        black_box(cpu_columns::has_heading(text));
        cpu_lines::filter(text, &set, numbering, &mut out);
        black_box(schedstat::filter(text, &set, numbering, &mut out).is_ok());
        for counts in [zoneinfo::Counts::Kept, zoneinfo::Counts::Zero] {
            black_box(zoneinfo::filter(text, &set, numbering, counts, &mut out).is_ok());
        }
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
