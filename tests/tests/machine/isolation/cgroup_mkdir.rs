//! A container may not make cgroups above its own. The kernel holds the lock of that directory until vistafs has
//! refused, and every container that looks up a name there waits for the lock.

use vistafs_tests::arena::Arena;
use vistafs_tests::container::Namespaces;
use vistafs_tests::require_privileged;
use vistafs_tests::role::Start;

use super::{below_mount, words};

#[test]
fn refused_changes_of_a_shared_directory_delay_no_other_container() {
    require_privileged!();
    let arena = Arena::with("", |slice| {
        let shared = below_mount(slice);
        // A name that nobody has looked up, and the way to a file that is the victim's own.
        vec![shared.join("probe?"), shared.join("victim/cgroup.procs")]
    });
    let cgroup = arena.attackers("maker");
    let shared = arena.mounted().root().join(below_mount(arena.slice()));
    let start = |role| {
        arena.attack(
            &cgroup,
            Namespaces::Both,
            role,
            Start {
                args: words![16, shared.display()],
                ..Start::default()
            },
        )
    };
    let attack = vec![start("makers")];
    arena.withstand(attack);
}
