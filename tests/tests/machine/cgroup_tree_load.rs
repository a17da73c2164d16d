//! The cgroup tree under load: many containers, many processes, many look-ups.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{Namespaces, TestContainer};
use vistafs_tests::require::{guest, rounds};
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{Mounted, wait_until};

use crate::cgroup_tree::mounted_directory;

/// Creates, lists and removes as many groups as the second argument says, on a line of standard input.
const STRESS: &str = "\
my ($top, $count) = @ARGV; $| = 1; print \"ready\\n\"; <STDIN>;\n\
for my $n (1 .. $count) {\n\
    mkdir \"$top/g$n\" or die \"mkdir $n: $!\";\n\
    opendir my $d, \"$top/g$n\" or die \"opendir $n: $!\";\n\
    (grep { $_ eq 'cgroup.procs' } readdir $d) == 1 or die 'not listed';\n\
    $n % 2 or rmdir \"$top/g$n\" or die \"rmdir $n: $!\";\n\
}\n\
opendir my $d, $top; print join(' ', sort grep { /^g/ } readdir $d), \"\\n\"; <STDIN>;\n\
for my $n (1 .. $count) { $n % 2 and (rmdir \"$top/g$n\" or die \"rmdir $n: $!\"); }\n\
print \"end\\n\";\n";

const GROUPS: usize = 50;

#[test]
fn two_hundred_containers_make_and_remove_groups_at_once() {
    require_privileged!();
    let mounted = Mounted::new();
    let slice = TestCgroup::new();
    let cgroups: Vec<TestCgroup> = (0..rounds(200))
        .map(|n| slice.child(format!("c{n}")))
        .collect();
    let mut children: Vec<(Child, BufReader<std::process::ChildStdout>)> = Vec::new();
    for cgroup in &cgroups {
        let top = mounted_directory(&mounted, cgroup, "memory");
        let script = format!("exec perl -e \"$STRESS\" '{}' {GROUPS}", top.display());
        let mut child = TestContainer::with(&mounted, cgroup, Namespaces::Pid)
            .command(&script)
            .env("STRESS", STRESS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        children.push((child, out));
    }
    let line = |out: &mut BufReader<_>| {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line
    };
    let tell = |child: &mut Child| {
        use std::io::Write;
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    };
    for (_, out) in &mut children {
        assert_eq!(line(out), "ready\n");
    }
    children.iter_mut().for_each(|(child, _)| tell(child));
    // Half of them remain and match the kernel's.
    for ((_, out), cgroup) in children.iter_mut().zip(&cgroups) {
        let told = line(out);
        let told: BTreeSet<&str> = told.split_whitespace().collect();
        let directory = cgroup.directory("memory");
        let entries = std::fs::read_dir(directory).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let kernels: BTreeSet<String> = names.filter(|name| name.starts_with('g')).collect();
        assert_eq!(told.len(), GROUPS / 2);
        assert!(told.iter().copied().eq(kernels.iter().map(String::as_str)));
    }
    children.iter_mut().for_each(|(child, _)| tell(child));
    for (child, out) in &mut children {
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "end\n");
        assert!(child.wait().unwrap().success());
    }
}

/// Starts as many idle processes as its argument says, and waits for the end of standard input.
const CROWD: &str = include_str!("../../src/crowd.sh");

/// Each list of 10,000 processes is one snapshot, whatever the read size. A machine with little memory runs
/// fewer.
#[test]
fn a_list_of_ten_thousand_processes_is_read_in_any_pieces() {
    require_privileged!();
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
    let free = vistafs_tests::container::field(&meminfo, "MemAvailable:");
    let processes = if free > 4 << 20 { 10_000 } else { 2_000 };
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let top = mounted_directory(&mounted, &cgroup, "memory");
    let script = format!(
        "mkfifo \"$PIPE\"\n\
         sh -c \"$CROWD\" {processes} <\"$PIPE\" >\"$PIPE.told\" & exec 9>\"$PIPE\"\n\
         until [ $(wc -l <\"$PIPE.told\") = {} ]; do sleep 0.1; done\n\
         for size in 1 7 4096 65536 1048576; do\n\
         dd if='{}/cgroup.procs' bs=$size 2>/dev/null >\"$PIPE.$size\"; wc -l <\"$PIPE.$size\"; done\n\
         ls /proc | grep -c '^[0-9]'; sort -n \"$PIPE.1\" | uniq | wc -l; exec 9>&-; wait",
        processes / 100,
        top.display(),
    );
    let work = tempfile::tempdir().unwrap();
    let output = TestContainer::with(&mounted, &cgroup, Namespaces::Pid)
        .command(&script)
        .env("CROWD", CROWD)
        .env("PIPE", work.path().join("pipe"))
        .output()
        .unwrap();
    let text = vistafs_tests::vistafs::printed(&output);
    let counts: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(counts.len(), 7, "{text}");
    // The crowd, a shell for each hundred, and a few more.
    let least = processes + processes / 100;
    for count in &counts {
        assert!((least..least + 20).contains(count), "{text}");
    }
    // No process is in a list twice.
    assert_eq!(counts[0], counts[6], "{text}");
}

/// Inodes are computed from the kernel's: no state is allocated for them, so nothing is lost when the kernel
/// forgets them.
#[test]
fn a_hundred_thousand_look_ups_leave_nothing_behind() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let top = mounted_directory(&mounted, &cgroup, "memory");
    let script = |rounds: u32| {
        format!(
            "exec perl -e 'my ($top, $rounds) = @ARGV; for my $n (1 .. $rounds) {{\n\
             mkdir \"$top/g$n\" or die \"mkdir: $!\";\n\
             for (1 .. 25) {{ -e \"$top/g$n/cgroup.procs\" or die \"stat: $!\";\n\
             -e \"$top/g$n/nothing\" and die \"there\"; }}\n\
             rmdir \"$top/g$n\" or die \"rmdir: $!\"; }}' '{}' {rounds}",
            top.display()
        )
    };
    let container = TestContainer::with(&mounted, &cgroup, Namespaces::Pid);
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", mounted.pid())).unwrap();
        vistafs_tests::container::field(&status, "RssAnon:")
    };
    // Each round looks up 50 names, each through five directories: half a second in a guest.
    let most = if guest() { 25 } else { 1000 };
    // Warm-up: until every thread has its buffers.
    assert_eq!(container.run(&script(most / 3)), "");
    let before = (mounted.descriptors(), resident());
    assert_eq!(container.run(&script(most)), "");
    wait_until("descriptors are given back", || {
        mounted.descriptors() <= before.0
    });
    let grown = resident().saturating_sub(before.1);
    // On an emulated processor more threads run at the same time, each with its own buffer.
    let most = if guest() { 8192 } else { 2048 };
    assert!(grown < most, "{grown} KiB more");
    let directory: PathBuf = cgroup.directory("memory");
    assert!(
        std::fs::read_dir(directory)
            .unwrap()
            .all(|e| !e.unwrap().path().is_dir())
    );
}
