//! The age of a request counts from the start of its service. A container whose requests wait for each other for
//! longer than `[worker] stuck_seconds` has neither a worker replaced nor a view disabled for everybody.

use std::time::Duration;

use vistafs_tests::arena::Arena;
use vistafs_tests::container::Namespaces;
use vistafs_tests::require::guest;
use vistafs_tests::require_privileged;
use vistafs_tests::role::Start;

use super::slow_files::slow_command;
use super::words;

#[test]
fn a_queue_longer_than_stuck_seconds_is_no_fault() {
    require_privileged!();
    let stuck = if guest() { 20 } else { 4 };
    let arena = Arena::new(&slow_command(stuck));
    let cgroup = arena.attackers("queue");
    let path = arena.mounted().path("proc/site/slow");
    // The last of them waits for more than twice `stuck_seconds`.
    let start = Start {
        args: words![stuck * 5, path.display()],
        ..Start::default()
    };
    let attack = arena.attack(&cgroup, Namespaces::Both, "readers", start);
    std::thread::sleep(Duration::from_secs(u64::from(stuck)) * 3 / 2);
    arena.withstand(vec![attack]);
}
