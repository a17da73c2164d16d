//! A container never gets contents rendered for another one, whatever system call it reads with.
//!
//! splice(2), sendfile(2) and mmap(2) use the kernel's page cache, which belongs to an inode, not to an open
//! descriptor.

use std::time::Duration;

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::TestContainer;
use vistafs_tests::require_privileged;
use vistafs_tests::role::{Running, Start};
use vistafs_tests::vistafs::{MountOptions, Mounted, page_cache};

use super::words;
use crate::outlives::kill_worker;

const MIB: u64 = 1 << 20;
/// Each must return the container's own files below `self`.
const WAYS: [&str; 3] = ["pread", "splice", "mmap-shared"];
const LIMITS: [u64; 4] = [96, 64, 160, 224];

/// Containers that read continuously in all ways, started at the same time.
struct Readers<'a> {
    mounted: &'a Mounted,
    cgroups: Vec<TestCgroup>,
    running: Vec<Running>,
}

impl<'a> Readers<'a> {
    fn start(mounted: &'a Mounted) -> Self {
        let cgroups: Vec<TestCgroup> = LIMITS
            .iter()
            .map(|mib| {
                let cgroup = TestCgroup::new();
                cgroup.limit_memory(mib * MIB);
                cgroup
            })
            .collect();
        let start = |(cgroup, mib): (&TestCgroup, u64)| {
            let own = mounted.path("self/proc/meminfo");
            let start = Start {
                args: words![
                    mib << 10,
                    "/proc/meminfo",
                    mounted.path("proc/meminfo").display(),
                    own.display()
                ],
                ..Start::default()
            };
            Running::start(&TestContainer::new(mounted, cgroup), "pages", start)
        };
        let mut running: Vec<Running> = cgroups.iter().zip(LIMITS).map(start).collect();
        running.iter_mut().for_each(|one| one.expect("ready"));
        Self {
            mounted,
            cgroups,
            running,
        }
    }

    /// Runs them for a while. Each must have read with read(2), and never another container's contents. `by`:
    /// ways that must have returned contents; otherwise the test attacks nothing.
    fn check(mut self, by: &[&str]) {
        let found: Vec<Vec<String>> = self
            .running
            .drain(..)
            .map(|mut running| {
                running.send("end");
                running.rest()
            })
            .collect();
        let foreign = |line: &&String| !line.starts_with("own ");
        let wrong: Vec<&String> = found.iter().flatten().filter(foreign).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!(found.iter().flatten().count(), LIMITS.len());
        for (way, lines) in by
            .iter()
            .flat_map(|way| found.iter().map(move |lines| (way, lines)))
        {
            assert!(
                lines.iter().any(|line| line.contains(way)),
                "not by {way}: {lines:?}"
            );
        }
        assert!(self.mounted.path("proc/uptime").exists());
        drop(self.cgroups);
    }
}

fn mounted(config: &str) -> Mounted {
    Mounted::with(&MountOptions {
        config: config.into(),
        ..MountOptions::default()
    })
}

#[test]
fn no_way_of_reading_shows_another_containers_contents() {
    require_privileged!();
    let mounted = mounted("");
    let readers = Readers::start(&mounted);
    std::thread::sleep(Duration::from_secs(2));
    readers.check(&["pread"]);
}

#[test]
fn no_way_of_reading_shows_another_containers_page_cache() {
    require_privileged!();
    let mounted = mounted(&page_cache(50));
    let readers = Readers::start(&mounted);
    std::thread::sleep(Duration::from_secs(2));
    readers.check(&WAYS);
}

/// They also read from descriptors that they opened earlier.
#[test]
fn descriptors_that_are_older_than_the_worker_show_no_other_containers_page_cache() {
    require_privileged!();
    let mounted = mounted(&page_cache(50));
    let readers = Readers::start(&mounted);
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(700));
        kill_worker(&mounted, nix::sys::signal::Signal::SIGKILL);
    }
    std::thread::sleep(Duration::from_millis(700));
    readers.check(&WAYS);
}
