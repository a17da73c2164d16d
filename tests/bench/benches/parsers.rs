//! Each parser of the kernel's texts, with a text of a captured host.

#![allow(clippy::unwrap_used, reason = "in a benchmark a panic is the report")]

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vistafs_bench::parsers::PARSERS;

fn parsers(criterion: &mut Criterion) {
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

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30);
    targets = parsers
}
criterion_main!(benches);
