//! A Debian in LXC whose cgroup tree is the view `cgroup`, configured as in CGROUP_TREE.md.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vistafs_tests::vistafs::printed;

const PAGE: &str = include_str!("../../../../contrib/doc/CGROUP_TREE.md");

/// The page's mount point of vistafs.
pub(crate) const PLACE: &str = "/var/lib/vistafs";

/// Settings that are not part of the page. The image contains the root file system.
const OWN: &str = "\
lxc.uts.name = box
lxc.rootfs.path = dir:/srv/container
lxc.net.0.type = empty
lxc.tty.max = 0
lxc.pty.max = 64
";

const NAME: &str = "box";

/// Usually 20 seconds; 90 on a busy machine under emulation.
const BOOT_LIMIT: Duration = Duration::from_secs(400);

/// Returns a block of the page, by the comment before it.
#[track_caller]
pub(crate) fn block(kind: &str, name: &str) -> &'static str {
    // A block in a list is indented.
    let mark = format!("<!-- {kind}: {name} -->\n");
    let (_, rest) = PAGE
        .split_once(&mark)
        .and_then(|(_, rest)| rest.split_once("```"))
        .unwrap_or_else(|| panic!("the page has no block {kind}: {name}"));
    let (_, rest) = rest.split_once('\n').unwrap();
    rest.split_once("```").unwrap().0
}

/// A running container; killed on drop.
pub(crate) struct Container {
    dir: TempDir,
}

impl Container {
    /// Starts a container with those blocks of the page; `mount` replaces the page's mount point.
    #[track_caller]
    pub(crate) fn start(blocks: &[&str], more: &str, mount: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let container = Self { dir };
        let mut config = OWN.to_owned();
        for name in blocks {
            config.push_str(&block("lxc", name).replace(PLACE, mount.to_str().unwrap()));
        }
        config.push_str(more);
        std::fs::write(container.config(), config).unwrap();
        let output = Command::new("lxc-start")
            .args(container.common())
            .args(["-l", "WARN", "-o"])
            .arg(container.log())
            .arg("-L")
            .arg(container.dir.path().join("console"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stderr),
            std::fs::read_to_string(container.log()).unwrap_or_default()
        );
        container
    }

    fn config(&self) -> String {
        self.dir.path().join("config").to_str().unwrap().to_owned()
    }

    fn log(&self) -> String {
        self.dir.path().join("log").to_str().unwrap().to_owned()
    }

    fn common(&self) -> [String; 4] {
        ["-n", NAME, "-f", &self.config()].map(String::from)
    }

    /// The output of its console.
    pub(crate) fn console(&self) -> String {
        let bytes = std::fs::read(self.dir.path().join("console")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A shell script that runs in it as its root, in its cgroup.
    pub(crate) fn command(&self, script: &str) -> Command {
        let mut command = Command::new("lxc-attach");
        command
            .args(self.common())
            .args(["--clear-env", "--", "/bin/sh", "-c", script])
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn output(&self, script: &str) -> Output {
        self.command(script).output().unwrap()
    }

    /// Returns the output of a script in it; fails if the script does.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> String {
        printed(&self.output(script))
    }

    /// Waits until its systemd has finished booting, and checks that the only failed units are those that
    /// cannot work in the container.
    #[track_caller]
    pub(crate) fn wait_for_systemd(&self, may_fail: &[&str]) {
        let started = Instant::now();
        let state = loop {
            let output = self.output("systemctl is-system-running");
            let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if ["running", "degraded"].contains(&&*state) {
                break state;
            }
            assert!(
                started.elapsed() < BOOT_LIMIT,
                "systemd is {state:?}: {}{}",
                String::from_utf8_lossy(&output.stderr),
                self.console()
            );
            std::thread::sleep(Duration::from_millis(500));
        };
        let failed = self.run("systemctl list-units --failed --no-legend --plain");
        let unexpected: Vec<&str> = failed
            .lines()
            .filter(|line| !may_fail.iter().any(|unit| line.starts_with(unit)))
            .collect();
        assert!(
            unexpected.is_empty(),
            "{state}: {unexpected:?}\n{}",
            self.console()
        );
        println!("systemd is {state} after {:.1?}", started.elapsed());
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the container's console:\n{}", self.console());
        }
        // The monitor runs the last hooks and removes the cgroups before it reports STOPPED.
        for command in ["lxc-stop --kill", "lxc-wait --state STOPPED --timeout 60"] {
            let words: Vec<&str> = command.split(' ').collect();
            let _ = Command::new(words[0])
                .args(["-n", NAME])
                .args(&words[1..])
                .output();
        }
    }
}
