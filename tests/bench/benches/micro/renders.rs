//! Renders each file view from captured hosts: cold, as for the first reader within a TTL, and warm,
//! as for later readers. This includes reading the captured files, which is cheaper than reading
//! the kernel's.

use criterion::{BenchmarkId, Criterion};
use vistafs_bench::captured::{Captured, Warmth, fixtures};
use vistafs_bench::many_cpus;

const HOSTS: [&str; 2] = ["debian12-v1", "debian12-v2"];
const MANY: usize = 512;

pub(crate) fn renders(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let mut hosts = Vec::new();
    for host in HOSTS {
        let root = fixtures().join(host);
        let many = directory.path().join(host);
        many_cpus::make(&root, &many, MANY).unwrap();
        hosts.push((host.to_owned(), root));
        hosts.push((format!("{host}, {MANY} CPUs"), many));
    }
    for (host, root) in hosts {
        for (name, warmth) in [("cold", Warmth::Cold), ("warm", Warmth::Warm)] {
            let captured = Captured::open(&root, warmth).unwrap();
            let mut group = criterion.benchmark_group(format!("{host}, {name}"));
            for file in captured.files() {
                let view = captured.view(file).unwrap();
                let (mut scratch, mut out) = (Vec::new(), Vec::new());
                // v1 has no pressure per container.
                if captured.render(&*view, &mut scratch, &mut out).is_err() {
                    continue;
                }
                group.bench_function(BenchmarkId::from_parameter(file), |bencher| {
                    bencher.iter(|| captured.render(&*view, &mut scratch, &mut out).unwrap());
                });
            }
            group.finish();
        }
    }
}
