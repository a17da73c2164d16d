//! The parsers of `vistafs-text`, each with text of a captured host. Files of a process, which
//! captures do not contain, are literals here.

use std::hint::black_box;

use anyhow::{Context as _, Result};
use vistafs_text::cpuinfo::Numbering;
use vistafs_text::{
    CpuSet, IdMap, blkio, cpu_columns, cpu_lines, cpu_mask, cpuacct, cpuinfo, diskstats,
    flat_keyed, io_stat, kstat, loadavg, meminfo, mountinfo, numa_stat, number_words, partitions,
    pid_cgroup, pid_stat, pid_status, pressure, quota, schedstat, single_value, slabinfo, stat,
    swaps, time_offsets, uptime, zoneinfo,
};

use crate::captured::fixtures;

/// A parser and its input.
#[derive(Debug, Clone, Copy)]
pub struct Parser {
    /// The module, and the file if the module parses several.
    pub name: &'static str,
    text: Text,
    parse: fn(&[u8], &mut Vec<u8>) -> usize,
}

#[derive(Debug, Clone, Copy)]
enum Text {
    /// A file of the captured hosts.
    Of(&'static str),
    Written(&'static [u8]),
}

/// All parsers, sorted by name.
pub const PARSERS: &[Parser] = &[
    of("blkio", "debian12-v1/sys/fs/cgroup/blkio/blkio.throttle.io_service_bytes", |t, _| {
        blkio::counters(t).flatten().count()
    }),
    of("cpu_columns", "debian12-v2/proc/interrupts", |text, out| {
        usize::from(cpu_columns::filter(text, &two_cpus(), Numbering::Physical, out).is_ok())
    }),
    of("cpu_lines", "debian12-v2/proc/stat", |text, out| {
        cpu_lines::filter(text, &two_cpus(), Numbering::Physical, out);
        out.len()
    }),
    written("cpu_mask", b"ffffffff,00000000,00ff00ff\n", |text, _| {
        cpu_mask::parse(text).map_or(0, |set| set.len())
    }),
    written("cpu_set", b"0-63,128-191,300,302,304-511\n", |text, _| {
        CpuSet::parse(text).map_or(0, |set| set.len())
    }),
    of("cpuacct usage_all", "debian12-v1/sys/fs/cgroup/cpu,cpuacct/box/app/cpuacct.usage_all", |t, _| {
        cpuacct::usage_all(t).flatten().count()
    }),
    of("cpuacct usage_percpu", "debian12-v1/sys/fs/cgroup/cpu,cpuacct/box/app/cpuacct.usage_percpu", |t, _| {
        cpuacct::usage_percpu(t).flatten().count()
    }),
    of("cpuinfo", "debian12-v2/proc/cpuinfo", |text, out| {
        cpuinfo::filter(text, &two_cpus(), Numbering::Physical, out);
        out.len()
    }),
    of("diskstats", "debian12-v2/proc/diskstats", |text, _| {
        diskstats::lines(text).flatten().count()
    }),
    of("flat_keyed", "debian12-v2/sys/fs/cgroup/box/app/memory.stat", |text, _| {
        flat_keyed::entries(text).flatten().count()
    }),
    written("id_map", b"0 100000 65536\n65536 300000 65536\n", |text, _| {
        usize::from(IdMap::parse(text).is_ok())
    }),
    of("io_stat", "debian12-v2/sys/fs/cgroup/box/io.stat", |text, _| {
        io_stat::devices(text).flatten().count()
    }),
    of("kstat", "arm64/proc/spl/kstat/zfs/arcstats", |text, out| {
        usize::from(kstat::push_zeroed(text, out).is_ok())
    }),
    of("loadavg", "debian12-v2/proc/loadavg", |text, _| {
        usize::from(loadavg::last_pid(text).is_ok())
    }),
    of("meminfo", "debian12-v2/proc/meminfo", |text, _| {
        meminfo::lines(text).flatten().count()
    }),
    of("mountinfo", "debian12-v1/proc/self/mountinfo", |text, _| {
        mountinfo::mounts(text).flatten().count()
    }),
    of("numa_stat", "debian12-v2/sys/fs/cgroup/box/app/memory.numa_stat", |text, _| {
        let entries = numa_stat::entries(text).flatten();
        entries.map(|entry| entry.nodes().flatten().count()).sum()
    }),
    written("number_words", b"10 21 31 40\n", |text, _| {
        number_words::parse_set(text).map_or(0, |set| set.len())
    }),
    of("partitions", "debian12-v2/proc/partitions", |text, _| {
        partitions::lines(text).flatten().count()
    }),
    written(
        "pid_cgroup",
        b"9:name=systemd:/box/app\n8:pids:/box/app\n4:cpu,cpuacct:/box/app\n3:memory:/box/app\n0::/box/app\n",
        |text, _| pid_cgroup::memberships(text).flatten().count(),
    ),
    written(
        "pid_stat",
        b"4242 (a (b) c) S 1 4242 4242 0 -1 4194560 523 0 7 0 12 9 0 0 20 0 3 0 86400 17031168 1290 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 3 0 0 0 0 0\n",
        |text, _| usize::from(pid_stat::parse(text).is_ok()),
    ),
    written("pid_status", STATUS, |text, _| {
        usize::from(pid_status::ns_pid_innermost(text).is_ok())
    }),
    written("pressure", b"some 150000 2000000\n", |text, _| {
        usize::from(pressure::window(text).is_some())
    }),
    written("quota", b"150000 100000\n", |text, _| usize::from(quota::parse(text).is_ok())),
    of("schedstat", "debian12-v2/proc/schedstat", |text, out| {
        usize::from(schedstat::filter(text, &two_cpus(), Numbering::Physical, out).is_ok())
    }),
    written("single_value", b"9223372036854771712\n", |text, _| {
        usize::from(single_value::limit_v1(text, 4096).is_ok())
    }),
    of("slabinfo", "debian12-v2/proc/slabinfo", |text, _| slabinfo::rows(text).flatten().count()),
    of("stat cpu_times", "debian12-v2/proc/stat", |text, _| {
        stat::cpu_times(text).flatten().count()
    }),
    of("stat lines", "debian12-v2/proc/stat", |text, _| stat::lines(text).count()),
    of("swaps", "debian12-v2/proc/swaps", |text, _| usize::from(swaps::header(text).is_ok())),
    written("time_offsets", b"monotonic 0 0\nboottime -86400 999999999\n", |text, _| {
        usize::from(time_offsets::boottime(text).is_ok())
    }),
    of("uptime", "debian12-v2/proc/uptime", |text, _| usize::from(uptime::parse(text).is_ok())),
    of("zoneinfo", "debian12-v2/proc/zoneinfo", |text, out| {
        let (numbers, counts) = (Numbering::Physical, zoneinfo::Counts::Zero);
        usize::from(zoneinfo::filter(text, &two_cpus(), numbers, counts, out).is_ok())
    }),
];

const STATUS: &[u8] = b"Name:\tinit\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t4242\nNgid:\t0\n\
Pid:\t4242\nPPid:\t4200\nTracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t64\n\
Groups:\t0 5 100 \nNStgid:\t4242\t1\nNSpid:\t4242\t1\nNSpgid:\t4242\t1\nNSsid:\t4242\t1\n";

const fn of(
    name: &'static str,
    file: &'static str,
    parse: fn(&[u8], &mut Vec<u8>) -> usize,
) -> Parser {
    let text = Text::Of(file);
    Parser { name, text, parse }
}

const fn written(
    name: &'static str,
    text: &'static [u8],
    parse: fn(&[u8], &mut Vec<u8>) -> usize,
) -> Parser {
    let text = Text::Written(text);
    Parser { name, text, parse }
}

/// Returns the visible CPUs of a container with two CPUs.
fn two_cpus() -> CpuSet {
    [1, 3].into_iter().collect()
}

impl Parser {
    /// Returns the parser with a name.
    ///
    /// # Errors
    /// If the name is unknown.
    pub fn named(name: &str) -> Result<&'static Self> {
        let named = PARSERS.iter().find(|parser| parser.name == name);
        named.with_context(|| format!("no parser is called {name}"))
    }

    /// Returns the parser's input.
    ///
    /// # Errors
    /// If the captured host does not have the file.
    pub fn text(&self) -> Result<Vec<u8>> {
        match self.text {
            Text::Written(text) => Ok(text.to_owned()),
            Text::Of(file) => {
                std::fs::read(fixtures().join(file)).with_context(|| format!("reading {file}"))
            }
        }
    }

    /// Parses `text` and writes any output to `out`; returns the number of items found.
    pub fn parse(&self, text: &[u8], out: &mut Vec<u8>) -> usize {
        out.clear();
        black_box((self.parse)(black_box(text), out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A parser that finds nothing would measure nothing.
    #[test]
    fn each_finds_something_in_its_text() {
        for parser in PARSERS {
            let text = parser.text().unwrap();
            assert!(parser.parse(&text, &mut Vec::new()) > 0, "{}", parser.name);
        }
        assert!(PARSERS.is_sorted_by_key(|parser| parser.name));
    }

    /// A new parser must be measured.
    #[test]
    fn every_module_of_parsers_is_here() {
        // Types, writers and shared helpers.
        let others = ["cpu_set", "device", "error", "limit", "number", "lib"];
        let source = fixtures().join("../../core/text/src/lib.rs");
        let source = std::fs::read_to_string(source).unwrap();
        let modules = source.lines().filter_map(|line| {
            let module = line.strip_prefix("pub mod ")?.strip_suffix(';')?;
            (!others.contains(&module)).then_some(module)
        });
        for module in modules {
            let is_of = |parser: &Parser| parser.name.split(' ').next() == Some(module);
            assert!(PARSERS.iter().any(is_of), "{module}");
        }
    }
}
