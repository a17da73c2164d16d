//! All containers share the offload threads. One container occupies at most two, even before a new worker
//! knows it: all waiting callers repeat their requests at the same instant.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use vistafs_tests::arena::scaled;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::TestContainer;
use vistafs_tests::require_privileged;
use vistafs_tests::role::{Running, Start};
use vistafs_tests::vistafs::{MountOptions, Mounted, thread_names};

use super::slow_files::slow_command;
use super::words;
use crate::outlives::kill_worker;

const READERS: usize = 300;
/// Two of the container, and one of the reader on the host.
const MOST: usize = 3;

#[test]
fn a_container_takes_two_offload_threads_however_many_callers_it_has() {
    require_privileged!();
    let mounted = Mounted::with(&MountOptions {
        config: slow_command(300),
        ..MountOptions::default()
    });
    let cgroup = TestCgroup::new();
    let path = mounted.path("proc/site/slow");
    let start = Start {
        args: words![scaled(READERS).max(80), path.display()],
        ..Start::default()
    };
    let mut running = Running::start(&TestContainer::new(&mounted, &cgroup), "readers", start);
    running.expect("ready");
    for round in 0..3 {
        let (mut peak, begun) = (0, Instant::now());
        while begun.elapsed() < Duration::from_secs(2) {
            let names = thread_names(mounted.pid());
            peak = peak.max(names.iter().filter(|name| *name == "offload").count());
        }
        println!("round {round}: {peak} offload threads");
        assert!(
            (1..=MOST).contains(&peak),
            "{peak} offload threads in round {round}"
        );
        kill_worker(&mounted, Signal::SIGKILL);
    }
}
