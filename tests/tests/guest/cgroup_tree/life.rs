//! Operations of a container in its tree, compared with the kernel's tree.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use vistafs_cgroup::Version;
use vistafs_tests::vistafs::wait_for;

use super::host::{CONTAINER, Host};
use super::lxc::Container;

/// logind waits 10 seconds after a user's last session.
const SESSION_END: Duration = Duration::from_secs(120);

/// Timeout of operations that usually take a second or two.
const PATIENCE: Duration = Duration::from_secs(120);

const LIMIT: &str = "52428800";

/// A nested container that shares the file systems of the outer one.
const INNER: &str = "\
lxc.uts.name = inner
lxc.namespace.clone = mnt pid uts ipc
lxc.cgroup.dir.container = inner
lxc.cgroup.dir.monitor = inner.monitor
lxc.console.path = none
";

/// Checks any container, whatever runs in it.
pub(crate) fn lives_in_its_tree(host: &Host, container: &Container) {
    shows_the_way_and_nothing_beside(host, container);
    a_group_freezes(host, container);
    a_container_in_it_sees_its_own_way(host, container);
    shows_the_way_and_nothing_beside(host, container);
}

/// A container sees the directories down to its own cgroup, and all below that.
fn shows_the_way_and_nothing_beside(host: &Host, container: &Container) {
    let find = format!("find {} -type d", all_roots(host));
    let (mut seen, mut expected) = (BTreeSet::new(), BTreeSet::new());
    let mut same = || {
        let text = container.run(&find);
        seen = text.lines().map(PathBuf::from).collect::<BTreeSet<_>>();
        expected.clear();
        for hierarchy in host.hierarchies() {
            let root = host.inside(hierarchy);
            let own = host.cgroups(hierarchy).into_iter();
            // Collected from components: an empty path would leave a trailing slash.
            expected.extend(own.map(|path| root.join(CONTAINER).join(path).components().collect()));
            expected.extend([root.clone(), root.join("guests")]);
        }
        seen == expected
    };
    // systemd may create or remove some between the two listings.
    let is_same = (0..5).any(|_| same());
    let (seen, expected): (&BTreeSet<PathBuf>, &BTreeSet<PathBuf>) = (&seen, &expected);
    assert!(
        is_same,
        "too many: {:?}, missing: {:?}",
        seen.difference(expected),
        expected.difference(seen)
    );
}

/// The paths of all hierarchies in a container, for a shell.
fn all_roots(host: &Host) -> String {
    let roots = host.hierarchies().map(|one| host.inside(one));
    let roots: Vec<String> = roots.map(|root| root.display().to_string()).collect();
    roots.join(" ")
}

/// A user logs in, gets a manager that starts a service, and logs out again. `base`: the uid of the
/// container's root on the host.
pub(crate) fn sessions_come_and_go(host: &Host, container: &Container, base: u32) {
    // Runs as a service, like a login: v1 does not notify containers of empty groups. systemd relies on the
    // exit of its own children, and lxc-attach's processes are not its children.
    let script = "exec systemd-run --quiet --pipe --wait --unit=terminal su -l ann -c '\
        systemctl --user is-system-running --wait; \
        systemd-run --quiet --user --unit=mine sleep 1000; \
        systemd-cgls --full --no-pager; cat /proc/self/cgroup; \
        echo ready; read line'";
    let mut session = container
        .command(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(session.stdout.take().unwrap());
    let mut text = String::new();
    while !text.ends_with("\nready\n") {
        let got = output.read_line(&mut text).unwrap();
        assert!(got > 0, "the session has ended: {text}");
    }
    assert!(text.starts_with("running\n"), "{text}");
    let is_session = |name: &str| name.starts_with("session-") && name.ends_with(".scope");
    for part in ["─mine.service", "─session-", "─user@1000.service"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("user-1000.slice/session-"), "{text}");
    assert!(!host.named(is_session).is_empty());
    for of_user in ["user@1000.service", "mine.service"] {
        let made = host.named(|name| name == of_user);
        let owners: Vec<u32> = made
            .iter()
            .map(|path| path.metadata().unwrap().uid())
            .collect();
        assert!(owners.contains(&(base + 1000)), "{made:?}: {owners:?}");
    }
    drop(session.stdin.take());
    output.read_to_string(&mut text).unwrap();
    session.wait().unwrap();
    wait_for(SESSION_END, "the session's scope is removed", || {
        host.named(is_session).is_empty()
    });
    wait_for(SESSION_END, "the user's slice is removed", || {
        host.named(|name| name == "user-1000.slice").is_empty()
    });
}

/// The limit is in the kernel's tree, and the container reads it with its own process IDs.
pub(crate) fn a_service_has_its_limit(host: &Host, container: &Container) {
    container.run("systemd-run --quiet --unit=limited -p MemoryMax=50M sleep 1000");
    let memory = host.hierarchy_of("memory");
    let limit = match memory.version() {
        Version::V1 => "memory.limit_in_bytes",
        Version::V2 => "memory.max",
    };
    let below = Path::new(CONTAINER).join("system.slice/limited.service");
    let outside = memory.root().path().join(&below);
    let said = std::fs::read_to_string(outside.join(limit)).unwrap();
    assert_eq!(said.trim(), LIMIT);
    // The same through the view, with the container's process ID.
    let inside = host.inside(memory).join(&below);
    let text = container.run(&format!(
        "cd {} && cat {limit} cgroup.procs && systemctl show --property MainPID --value limited",
        inside.display()
    ));
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        matches!(lines[..], [LIMIT, pid, main] if pid == main),
        "{text}"
    );
    let text = container.run("systemd-cgls --no-pager --full");
    assert!(text.contains("─limited.service"), "{text}");
    let here = || host.named(|name| name == "limited.service");
    assert!(here().contains(&outside), "{:?}", here());
    container.run("systemctl stop limited");
    wait_for(PATIENCE, "the service's cgroups are removed", || {
        here().is_empty()
    });
}

/// The container creates a child group of a counting process, and freezes it.
fn a_group_freezes(host: &Host, container: &Container) {
    let freezer = host
        .hierarchies()
        .find(|hierarchy| hierarchy.name().split(',').any(|name| name == "freezer"));
    let (hierarchy, freeze, thaw, frozen) = match freezer {
        Some(v1) => (
            v1,
            "echo FROZEN >freezer.state",
            "echo THAWED >freezer.state",
            "[ $(cat freezer.state) = FROZEN ]",
        ),
        None => (
            host.hierarchy_of("freezer"),
            "echo 1 >cgroup.freeze",
            "echo 0 >cgroup.freeze",
            "grep -q 'frozen 1' cgroup.events",
        ),
    };
    let own = host.inside(hierarchy).join(CONTAINER);
    let text = container.run(&format!(
        "set -e
        cd {}
        mkdir cold
        # One process that never forks: v1 does not get done with freezing in the middle of a vfork(2).
        perl -e 'while (1) {{ open F, \">>/run/count\"; print F \"x\"; close F; select undef, undef, undef, 0.01 }}' \
            >/dev/null 2>&1 &
        echo $! >cold/cgroup.procs
        cd cold
        count() {{ stat -c %s /run/count; }}
        grows() {{ before=$(count); sleep 0.5; [ $(count) -gt $before ]; }}
        comes() {{ for try in $(seq 100); do ! grows || return 0; done; return 1; }}
        until [ -s /run/count ]; do sleep 0.1; done
        comes && echo runs
        {freeze}
        tries=0
        until {frozen}; do sleep 0.1; tries=$((tries+1)); [ $tries -lt 200 ]; done
        grows || echo stands
        {thaw}
        comes && echo runs again
        kill $!
        wait $! || :
        while grep -q . cgroup.procs; do sleep 0.1; done
        cd ..
        rmdir cold
        rm /run/count",
        own.display()
    ));
    assert_eq!(text, "runs\nstands\nruns again\n");
    assert!(host.named(|name| name == "cold").is_empty());
}

/// LXC in LXC: the outer container's other groups are hidden from the inner one.
///
/// LXC rejects a FUSE file system for the root of a hierarchy, and leaves its containers in the cgroup in
/// which it was started.
fn a_container_in_it_sees_its_own_way(host: &Host, container: &Container) {
    let roots: Vec<PathBuf> = host.hierarchies().map(|one| host.inside(one)).collect();
    let all = all_roots(host);
    let text = container.run(&format!(
        "set -e
        cat >/run/inner.conf <<'END'\n{INNER}END
        for root in {all}; do
            cd $root/{CONTAINER}
            mkdir -p given/mine beside_given
            for group in given given/mine; do
                for file in cpuset.cpus cpuset.mems; do
                    [ ! -e cpuset.effective_cpus ] || cat $file >$group/$file
                done
            done
        done
        cd /
        sh -ec 'for root in {all}; do echo $$ >$root/{CONTAINER}/given/mine/cgroup.procs; done
            exec lxc-execute -n inner -f /run/inner.conf -- find {all} -type d'
        for root in {all}; do
            cd $root/{CONTAINER}
            rmdir given/mine given beside_given
        done"
    ));
    for root in roots {
        let seen: Vec<&Path> = text
            .lines()
            .map(Path::new)
            .filter(|path| path.starts_with(&root))
            .collect();
        let mut way = vec![root.as_path()];
        way.extend(
            seen.windows(2)
                .filter(|pair| pair[1].parent() == Some(pair[0]))
                .map(|pair| pair[1]),
        );
        assert_eq!(seen, way, "{text}");
        assert!(way.len() > 3 && way[2].ends_with(CONTAINER), "{text}");
    }
}
