//! A caller that is killed while its request is queued or served ends immediately.

use std::io::{BufRead, BufReader, Write};

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::TestContainer;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{MountOptions, Mounted};

/// A file whose command ends when the test creates another file, and readers of it in one container.
struct Slow {
    go: tempfile::TempDir,
    mounted: Mounted,
}

impl Slow {
    fn new() -> Self {
        let go = tempfile::tempdir().unwrap();
        std::fs::set_permissions(
            go.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let wait = format!(
            "until [ -e {}/go ]; do sleep 0.05; done; echo done",
            go.path().display()
        );
        let config = format!(
            "[[file]]\npath = \"proc/site/slow\"\ncommand = [\"/bin/sh\", \"-c\", \"{wait}\"]\n\
             user = \"nobody\"\ntimeout_ms = 60000\ncache_ms = 100\n[worker]\nstuck_seconds = 300\n"
        );
        let mounted = Mounted::with(&MountOptions {
            config,
            ..MountOptions::default()
        });
        Self { go, mounted }
    }

    fn end(&self) {
        std::fs::write(self.go.path().join("go"), "").unwrap();
    }
}

/// The command does not end before the test lets it: every earlier line is from a caller that ended early.
#[test]
fn killed_callers_end_before_their_requests_do() {
    require_privileged!();
    let slow = Slow::new();
    let cgroup = TestCgroup::new();
    let script = "S=$M/proc/site/slow
        cat $S & served=$!
        sleep 0.5
        cat $S & waits=$!; cat $S & also=$!
        sh -c 'trap : USR1; echo handles; read -r line <$0; echo handler $line' $S & handles=$!
        sleep 0.5
        kill -USR1 $handles; kill -KILL $waits; wait $waits; echo waits $?
        kill -TERM $served; wait $served; echo served $?
        sleep 0.5
        echo all; wait $also; echo also $?; wait $handles; echo handles $?";
    let mut child = TestContainer::new(&slow.mounted, &cgroup).spawn(script);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    let before: Vec<String> = (0..4).map(|_| next()).collect();
    assert_eq!(before, ["handles", "waits 137", "served 143", "all"]);
    slow.end();
    let mut after: Vec<String> = (0..4).map(|_| next()).collect();
    // A reader's line may precede the reported end of another one.
    after.sort();
    assert_eq!(after, ["also 0", "done", "handler done", "handles 0"]);
    let _ = child.stdin.take().unwrap().write_all(b"\n");
    assert!(child.wait().unwrap().success());
    let metrics = slow.mounted.read("metrics");
    let restarts = metrics
        .lines()
        .filter(|line| line.starts_with("vistafs_worker_restarts_total{") && !line.ends_with(" 0"));
    assert_eq!(restarts.count(), 0, "{metrics}");
}
