//! Processes in namespaces and cgroups of their own, made with `unshare` and a shell.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::{Child, Command, Stdio};

use crate::cgroup::TestCgroup;
use crate::vistafs::{Mounted, printed};

/// Which namespaces of its own a container has, besides mounts and /proc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespaces {
    /// Its own pid and cgroup namespace: the usual container.
    Both,
    /// Its own pid namespace alone (LXC without cgroup namespaces).
    Pid,
    /// Its own cgroup namespace alone (`--pid=host`).
    Cgroup,
}

/// How to make containers on a mount.
#[derive(Debug)]
pub struct TestContainer<'a> {
    mounted: &'a Mounted,
    cgroup: &'a TestCgroup,
    namespaces: Namespaces,
}

impl<'a> TestContainer<'a> {
    /// The usual container in a cgroup.
    #[must_use]
    pub fn new(mounted: &'a Mounted, cgroup: &'a TestCgroup) -> Self {
        Self::with(mounted, cgroup, Namespaces::Both)
    }

    /// A container with some namespaces.
    #[must_use]
    pub fn with(mounted: &'a Mounted, cgroup: &'a TestCgroup, namespaces: Namespaces) -> Self {
        Self {
            mounted,
            cgroup,
            namespaces,
        }
    }

    /// The command that runs a shell script in it, with the views over /proc and /sys; `$M` is the
    /// mount.
    #[must_use]
    pub fn command(&self, script: &str) -> Command {
        let flags = match self.namespaces {
            Namespaces::Both => "-mCpf",
            Namespaces::Pid => "-mpf",
            Namespaces::Cgroup => "-mC",
        };
        let mut outer = self.cgroup.join_script();
        let fresh_proc = if self.namespaces == Namespaces::Cgroup {
            ""
        } else {
            "mount -t proc proc /proc\n"
        };
        let bind = "cd \"$M\" || exit 98\n\
             for f in $(find proc -type f) $(echo sys/devices/system/*); do\n\
             [ ! -e \"$f\" ] || [ ! -e \"/$f\" ] || mount --bind \"$f\" \"/$f\" || exit 97; done\ncd /\n";
        outer.extend_from_slice(format!("exec unshare {flags} sh -c \"$INNER\"\n").as_bytes());
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(OsString::from_vec(outer))
            .env("M", self.mounted.root())
            .env("INNER", format!("{fresh_proc}{bind}{script}"))
            .stdin(Stdio::null());
        command
    }

    /// Output of a script in it.
    #[must_use]
    #[track_caller]
    pub fn run(&self, script: &str) -> String {
        printed(&self.command(script).output().unwrap())
    }

    /// Starts a script in it; standard input and output are pipes.
    #[must_use]
    pub fn spawn(&self, script: &str) -> Child {
        self.command(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// The number on the line of a text that starts with `key`.
#[must_use]
#[track_caller]
pub fn field(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number
        .and_then(|n| n.parse().ok())
        .unwrap_or_else(|| panic!("no number after {key:?} in:\n{text}"))
}
