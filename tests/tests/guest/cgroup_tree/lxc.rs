//! A Debian in LXC whose cgroup tree is the view's, configured as CGROUP_TREE.md says.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vistafs_tests::vistafs::printed;

const PAGE: &str = include_str!("../../../../contrib/doc/CGROUP_TREE.md");

/// Where the page has vistafs mounted.
pub(crate) const PLACE: &str = "/var/lib/vistafs";

/// The lines that the page does not care for. The image has the root file system.
const OWN: &str = "\
lxc.uts.name = box
lxc.rootfs.path = dir:/srv/container
lxc.net.0.type = empty
lxc.tty.max = 0
lxc.pty.max = 64
";

const NAME: &str = "box";

/// Usual are 20 seconds, and 90 on a busy machine under emulation.
const BOOT_LIMIT: Duration = Duration::from_secs(400);

/// A block of the page, by the comment before it.
#[track_caller]
pub(crate) fn block(kind: &str, name: &str) -> &'static str {
    // One in a list is indented.
    let mark = format!("<!-- {kind}: {name} -->\n");
    let (_, rest) = PAGE
        .split_once(&mark)
        .and_then(|(_, rest)| rest.split_once("```"))
        .unwrap_or_else(|| panic!("the page has no block {kind}: {name}"));
    let (_, rest) = rest.split_once('\n').unwrap();
    rest.split_once("```").unwrap().0
}

/// A container that runs; killed at drop.
pub(crate) struct Container {
    dir: TempDir,
}

impl Container {
    /// Starts one with those blocks of the page, with `mount` in the place of the page's.
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

    /// What it has written to its console.
    pub(crate) fn console(&self) -> String {
        let bytes = std::fs::read(self.dir.path().join("console")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A shell script in it, as its root, in its own cgroup.
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

    /// What a script prints in it, if it succeeds.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> String {
        printed(&self.output(script))
    }

    /// Waits until its systemd has started all it wants to, and checks that nothing has failed but
    /// what cannot work in it.
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
        // Its monitor runs the last hooks and removes the cgroups before it is told stopped.
        for command in ["lxc-stop --kill", "lxc-wait --state STOPPED --timeout 60"] {
            let words: Vec<&str> = command.split(' ').collect();
            let _ = Command::new(words[0])
                .args(["-n", NAME])
                .args(&words[1..])
                .output();
        }
    }
}
