//! A warm rendering of a view does not allocate, on any captured host.
//!
//! This file has only one test: the allocations of concurrent tests would be counted too.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::path::Path;

use vistafs_bench::captured::{Captured, Warmth, fixtures};
use vistafs_bench::{allocations, many_cpus};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// Returns the allocations of each view of a host when its caches are warm.
fn asked(root: &Path) -> Vec<(&'static str, u64)> {
    let captured = Captured::open(root, Warmth::Warm).unwrap();
    let (mut scratch, mut out) = (Vec::new(), Vec::new());
    let mut asked = Vec::new();
    for file in captured.files() {
        let view = captured.view(file).unwrap();
        let mut counts = Vec::with_capacity(16);
        for _ in 0..8 {
            let before = allocations::count();
            let is_there = captured.render(&*view, &mut scratch, &mut out).is_ok();
            let count = allocations::count() - before;
            if is_there {
                counts.push(count);
            }
        }
        // On a busy machine a cached value may expire, and the main thread of the test runs.
        if let Some(least) = counts.into_iter().min() {
            asked.push((file, least));
        }
    }
    asked
}

#[test]
fn a_warm_rendering_asks_for_no_memory() {
    let directory = tempfile::tempdir().unwrap();
    let mut roots = Vec::new();
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        let root = entry.unwrap().path();
        let name = root.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') || !root.join("container.toml").is_file() {
            continue;
        }
        if name.starts_with("debian12-v") {
            let many = directory.path().join(name);
            many_cpus::make(&root, &many, 512).unwrap();
            roots.push(many);
        }
        roots.push(root);
    }
    assert!(roots.len() > 4, "{roots:?}");
    for root in roots {
        let asked = asked(&root);
        assert!(asked.len() > 10, "{asked:?}");
        let some: Vec<_> = asked.iter().filter(|(_, times)| *times > 0).collect();
        assert!(some.is_empty(), "{}: {some:?}", root.display());
    }
}
