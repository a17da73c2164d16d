//! CPUs that a container cannot use are offline, but still in `possible`.

use rustix::io::Errno;

use crate::captured::{Captured, cpu_list};
use crate::made_up::{Layout, MadeUp};
use crate::sys_trees::{CPU, answer, names, with_cpus};

/// The directory of a hidden CPU looks like that of an offline one, even if the kernel has no file `online`
/// because the CPU cannot be unplugged.
#[test]
fn hidden_cpus_are_offline() {
    let made_up = with_cpus(4, "1-2");
    made_up.write(format!("{CPU}/cpu0/crash_notes"), "1234\n");
    made_up.write(format!("{CPU}/cpu0/power/control"), "auto\n");
    std::fs::remove_file(made_up.path(format!("{CPU}/cpu0/online"))).unwrap();
    let host = made_up.open();
    for cpu in ["cpu0", "cpu3"] {
        assert_eq!(host.show(&format!("{CPU}/{cpu}/online")), "0\n");
    }
    let listing = host.show(CPU);
    let of_first: Vec<&str> = listing.lines().filter(|l| l.starts_with("cpu0/")).collect();
    let expected = [
        "cpu0/",
        "cpu0/online: 0",
        "cpu0/power/",
        "cpu0/power/control = host: auto",
        "cpu0/subsystem -> ../../../../bus/cpu",
    ];
    assert_eq!(of_first, expected);
    // A visible CPU has the kernel's files.
    std::fs::remove_file(made_up.path(format!("{CPU}/cpu1/online"))).unwrap();
    let gone = host.try_show(&format!("{CPU}/cpu1/online"));
    assert_eq!(answer(gone), Errno::NOENT);
}

/// Memory sized by `possible` has room for every CPU that a thread can run on, however few are visible and
/// whatever their numbers.
#[test]
fn possible_covers_every_cpu_of_the_kernel() {
    for (cpuset, quota, renumber) in [
        ("3", "max 100000\n", false),
        ("2-3", "100000 100000\n", false),
        ("1,3", "max 100000\n", true),
    ] {
        let mut made_up = with_cpus(4, cpuset);
        made_up.set(Layout::V2, "box/app", "cpu.max", quota);
        let mut host = made_up.open();
        host.policy.cpus.renumber = renumber;
        assert_eq!(host.show(&format!("{CPU}/possible")), "0-3\n", "{cpuset}");
        let directories = names(&host, CPU, "cpu");
        assert_eq!(directories, ["cpu0", "cpu1", "cpu2", "cpu3"], "{cpuset}");
        let all = |text: String| cpu_list(&text).len();
        let online = all(host.show(&format!("{CPU}/online")));
        let offline = all(host.show(&format!("{CPU}/offline")));
        assert_eq!(online + offline, 4, "{cpuset}");
        let are_online = directories
            .iter()
            .filter(|cpu| host.show(&format!("{CPU}/{cpu}/online")) == "1\n");
        assert_eq!(are_online.count(), online, "{cpuset}");
    }
}

/// CPU numbers missing in `possible` are not assigned to hidden CPUs by `renumber`.
#[test]
fn a_host_with_gaps_in_its_numbers() {
    let mut made_up = MadeUp::new("/box/app");
    made_up.set_cpus(&[0, 2, 4, 6]);
    made_up.write(format!("{CPU}/possible"), "0,2,4,6\n");
    made_up.set(Layout::V2, "box/app", "cpuset.cpus.effective", "2,6\n");
    made_up.write(format!("{CPU}/offline"), "\n");
    let mut host = made_up.open();
    let show = |host: &Captured, path: &str| host.show(&format!("{CPU}/{path}"));
    std::fs::remove_dir_all(host.root.join(CPU).join("cpu1")).ok();
    assert_eq!(show(&host, "offline"), "0,4\n");
    host.policy.cpus.renumber = true;
    assert_eq!(show(&host, "online"), "0-1\n");
    assert_eq!(show(&host, "offline"), "2,4,6\n");
    assert_eq!(names(&host, CPU, "cpu"), ["cpu0", "cpu1", "cpu4", "cpu6"]);
    for (cpu, online) in [
        ("cpu0", "1\n"),
        ("cpu1", "1\n"),
        ("cpu4", "0\n"),
        ("cpu6", "0\n"),
    ] {
        assert_eq!(show(&host, &format!("{cpu}/online")), online, "{cpu}");
    }
    assert_eq!(show(&host, "cpu1/topology/core_id"), "3\n");
}
