//! Rendering any view for eight times the CPUs takes at most eight times as long.
//!
//! The minimum of many renderings counts, and the sizes alternate: other load slows both. A view
//! that loops over all pairs of CPUs would take 64 times as long.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::time::{Duration, Instant};

use vistafs_bench::captured::{Captured, Warmth, fixtures};
use vistafs_bench::many_cpus;

const HOSTS: [&str; 2] = ["debian12-v1", "debian12-v2"];
const SOME: usize = 64;
const MANY: u32 = 512;
const ROUNDS: usize = 40;

fn time(captured: &Captured, file: &str, out: &mut Vec<u8>, scratch: &mut Vec<u8>) -> Duration {
    let view = captured.view(file).unwrap();
    let begun = Instant::now();
    captured.render(&*view, scratch, out).unwrap();
    begun.elapsed()
}

#[test]
fn many_cpus_take_no_more_time_than_their_number() {
    let directory = tempfile::tempdir().unwrap();
    let (mut out, mut scratch) = (Vec::new(), Vec::new());
    for host in HOSTS {
        let sizes = [SOME, MANY.try_into().unwrap()].map(|cpus| {
            let root = directory.path().join(format!("{host}-{cpus}"));
            many_cpus::make(&fixtures().join(host), &root, cpus).unwrap();
            Captured::open(&root, Warmth::Warm).unwrap()
        });
        // Pressure is the kernel's own text, and v1 has none.
        let files = sizes[0].files().into_iter();
        for file in files.filter(|file| !file.starts_with("proc/pressure/")) {
            let mut least = [Duration::MAX; 2];
            for _ in 0..ROUNDS {
                for (captured, least) in sizes.iter().zip(&mut least) {
                    *least = time(captured, file, &mut out, &mut scratch).min(*least);
                }
            }
            let [some, many] = least;
            // Half as much again, for slower memory.
            let most = some * (MANY / 64) * 3 / 2;
            println!("{host}, {file}: {some:?} with {SOME} CPUs, {many:?} with {MANY}");
            assert!(
                many <= most,
                "{host}, {file}: {many:?} with {MANY} CPUs, and {some:?} with {SOME}"
            );
        }
    }
}
