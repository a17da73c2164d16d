//! A container may not create cgroups above its own. The kernel holds the lock of that directory until
//! vistafs has refused, and every container that looks up a name there waits for the lock. So a refusal must
//! not wait for other requests of the container.

use vistafs_tests::arena::Arena;
use vistafs_tests::container::Namespaces;
use vistafs_tests::require_privileged;
use vistafs_tests::role::Start;

use super::slow_files::slow_command;
use super::words;

#[test]
fn refused_changes_of_a_shared_directory_delay_no_other_container() {
    require_privileged!();
    let arena = Arena::with(&slow_command(300), Namespaces::Both, |slice| {
        let shared = slice.below_mount();
        // A name that was never looked up, and the path to a file of the victim.
        vec![shared.join("probe?"), shared.join("victim/cgroup.procs")]
    });
    let cgroup = arena.attackers("maker");
    let shared = arena.mounted().root().join(arena.slice().below_mount());
    let slow = arena.mounted().path("proc/site/slow");
    let start = Start {
        args: words![32, shared.display(), slow.display()],
        ..Start::default()
    };
    let attack = arena.attack(&cgroup, Namespaces::Both, "makers", start);
    arena.withstand(vec![attack]);
}
