//! What a request in the cgroup tree takes grows with the depth of the cgroup: vistafs walks up to find out
//! whether the caller may see it.

use vistafs_tests::arena::{Arena, scaled};
use vistafs_tests::container::Namespaces;
use vistafs_tests::require_privileged;
use vistafs_tests::role::Start;

use super::words;

const LEVELS: usize = 1000;

fn attack_by(threads: usize) {
    let arena = Arena::default();
    let cgroup = arena.attackers("deep");
    let levels = scaled(LEVELS);
    cgroup.deepen(levels);
    let top = arena.mounted().path("").join(cgroup.below_mount());
    let start = Start {
        args: words![threads, top.display(), levels],
        ..Start::default()
    };
    let attack = arena.attack(&cgroup, Namespaces::Both, "deep", start);
    arena.withstand(vec![attack]);
}

#[test]
fn requests_a_thousand_levels_deep_delay_no_other_container() {
    require_privileged!();
    attack_by(16);
}

/// Their requests are older than `[worker] stuck_seconds` by the time they are served.
#[test]
fn a_thousand_threads_a_thousand_levels_deep_delay_no_other_container() {
    require_privileged!();
    attack_by(scaled(1200));
}
