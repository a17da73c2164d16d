//! Parses text of a captured host with each parser of kernel files.

use criterion::{Criterion, Throughput};
use vistafs_bench::parsers::PARSERS;

pub(crate) fn parsers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parsers");
    for parser in PARSERS {
        let text = parser.text().unwrap();
        let mut out = Vec::new();
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(parser.name, |bencher| {
            bencher.iter(|| parser.parse(&text, &mut out));
        });
    }
    group.finish();
}
