//! The age of a request counts from the start of its service. If the requests of a container wait for each
//! other longer than `[worker] stuck_seconds`, no worker is restarted and no view is disabled.

use std::time::Duration;

use vistafs_tests::arena::Arena;
use vistafs_tests::container::Namespaces;
use vistafs_tests::require::guest;
use vistafs_tests::require_privileged;
use vistafs_tests::role::Start;

use super::slow_files::{slow_plugin, slow_plugin_config};
use super::words;

/// A tenth of a second for each: they take 20 s in total.
const READERS: u32 = 200;

#[test]
fn a_queue_longer_than_stuck_seconds_is_no_fault() {
    require_privileged!();
    let stuck = if guest() { 10 } else { 4 };
    let plugins = slow_plugin();
    let arena = Arena::new(&slow_plugin_config(&plugins, stuck));
    let cgroup = arena.attackers("queue");
    let path = arena.mounted().path("proc/odd/slow");
    let start = Start {
        args: words![READERS, path.display()],
        ..Start::default()
    };
    let attack = arena.attack(&cgroup, Namespaces::Both, "readers", start);
    std::thread::sleep(Duration::from_secs(u64::from(stuck)) * 3 / 2);
    arena.withstand(vec![attack]);
}
