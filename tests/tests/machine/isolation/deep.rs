//! The cost of a request in the cgroup tree grows with the depth of the cgroup: vistafs walks up to check
//! whether the caller may see it.

use vistafs_tests::arena::{Arena, scaled};
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::Namespaces;
use vistafs_tests::require_privileged;
use vistafs_tests::role::{Running, Start};

use super::words;

const LEVELS: usize = 1000;

const THREADS: usize = 16;
/// The maximum for a container without a limit.
const CROWD: usize = 1200;

fn attack(arena: &Arena, cgroup: &TestCgroup, threads: usize) -> Running {
    let levels = scaled(LEVELS);
    cgroup.deepen(levels);
    let top = arena.mounted().path("").join(cgroup.below_mount());
    let start = Start {
        args: words![threads, top.display(), levels],
        ..Start::default()
    };
    arena.attack(cgroup, Namespaces::Both, "deep", start)
}

#[test]
fn requests_a_thousand_levels_deep_delay_no_other_container() {
    require_privileged!();
    let arena = Arena::default();
    let cgroup = arena.attackers("deep");
    let attack = attack(&arena, &cgroup, THREADS);
    arena.withstand(vec![attack]);
}

/// The serving threads receive these requests before they are queued: they must not walk up to find the
/// directory's owner.
#[test]
fn a_crowd_a_thousand_levels_deep_delays_no_other_container() {
    require_privileged!();
    let arena = Arena::default();
    let cgroup = arena.attackers("crowd");
    let attack = attack(&arena, &cgroup, scaled(CROWD));
    arena.withstand(vec![attack]);
}
