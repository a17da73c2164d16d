//! What a request in the cgroup tree takes grows with the depth of the cgroup: vistafs walks up to find out
//! whether the caller may see it.

use vistafs_tests::arena::{Arena, scaled};
use vistafs_tests::container::Namespaces;
use vistafs_tests::require_privileged;
use vistafs_tests::role::Start;

use super::words;

const LEVELS: usize = 1000;

/// How many threads attack. With 1,200 the victim's worst read is up to 180 ms in some rounds, 35 times that without
/// the attack: every request is taken in on the serving threads before it waits in the queue of its container.
const THREADS: usize = 16;

#[test]
fn requests_a_thousand_levels_deep_delay_no_other_container() {
    require_privileged!();
    let arena = Arena::default();
    let cgroup = arena.attackers("deep");
    let levels = scaled(LEVELS);
    cgroup.deepen(levels);
    let top = arena.mounted().path("").join(cgroup.below_mount());
    let start = Start {
        args: words![THREADS, top.display(), levels],
        ..Start::default()
    };
    let attack = arena.attack(&cgroup, Namespaces::Both, "deep", start);
    arena.withstand(vec![attack]);
}
