//! Reads the configuration: the example with every key, unchanged and with every key set.

use criterion::{Criterion, Throughput};

use vistafs_config::Config;

const EXAMPLE: &str = include_str!("../../../../contrib/vistafs.toml");

/// Returns the example with its commented keys enabled.
fn every_key() -> String {
    let is_key = |line: &&str| {
        let key = line.split(" = ").next().unwrap_or_default();
        let is_word = key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        line.starts_with("[[") || (line.contains(" = ") && is_word)
    };
    let line = |line: &str| {
        let line = line.strip_prefix("# ").filter(is_key).unwrap_or(line);
        format!("{line}\n")
    };
    EXAMPLE.lines().map(line).collect()
}

pub(crate) fn configuration(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("configuration");
    for (name, text) in [("example", EXAMPLE.to_owned()), ("every key", every_key())] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| Config::of_text(None, text.clone()).unwrap());
        });
    }
    group.finish();
}
