//! The program under test: commands, and a mount that unmounts itself.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::container::field;

/// The program: `VISTAFS_BIN`, or the one that cargo built beside the tests.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("VISTAFS_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    let built = test.ancestors().nth(2).unwrap().join("vistafs");
    assert!(
        built.exists(),
        "{} is not built (cargo build)",
        built.display()
    );
    built
}

/// Runs `vistafs ARGS` to its end.
#[must_use]
pub fn vistafs(args: &[&str]) -> Output {
    Command::new(binary())
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The configuration section with this TTL of containers' own files in the page cache.
#[must_use]
pub fn page_cache(ttl_ms: u32) -> String {
    format!("[page_cache]\nttl_ms = {ttl_ms}\n")
}

/// Output of a successful command.
#[must_use]
#[track_caller]
pub fn printed(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}: {}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Copies a program that is executed next. Another process does it: what other tests start meanwhile would
/// hold a file that this one writes, which then cannot be executed (ETXTBSY).
#[track_caller]
pub fn copy_program(from: &Path, to: &Path) {
    let status = Command::new("cp").args([from, to]).status().unwrap();
    assert!(status.success(), "cp {} {}", from.display(), to.display());
}

/// statfs(2) type of a FUSE file system (linux/magic.h).
const FUSE_SUPER_MAGIC: i64 = 0x6573_5546;

/// A served mount; unmounted and waited for at drop.
#[derive(Debug)]
pub struct Mounted {
    root: PathBuf,
    // Held, not used: removed at drop.
    _dir: Option<TempDir>,
    child: Option<Child>,
    is_wrapped: bool,
}

/// How to mount.
#[derive(Debug, Default)]
pub struct MountOptions {
    /// Text of the configuration file.
    pub config: String,
    /// Command to start instead of the program, with the program as its next argument.
    pub wrapper: Vec<String>,
    /// Another program than [`binary`].
    pub binary: Option<PathBuf>,
    /// Environment.
    pub env: Vec<(String, String)>,
    /// Further options of `vistafs mount`.
    pub args: Vec<String>,
    /// Whether it repairs the running containers of the whole machine. Those of other tests are dead
    /// on purpose.
    pub repairs: bool,
    /// Started as lxcfs, with these options.
    pub as_lxcfs: Option<Vec<String>>,
}

impl Mounted {
    /// Mounts with the default configuration.
    #[must_use]
    pub fn new() -> Self {
        Self::with(&MountOptions::default())
    }

    /// Mounts and waits until the mount answers.
    #[must_use]
    pub fn with(options: &MountOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("m")).unwrap();
        // The tests' readers are not all root.
        std::fs::set_permissions(
            dir.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        std::fs::write(dir.path().join("config.toml"), &options.config).unwrap();
        let mut mounted = Self {
            root: dir.path().join("m"),
            _dir: Some(dir),
            child: None,
            is_wrapped: false,
        };
        mounted.start(options);
        mounted
    }

    /// Kills all of it, as if out of memory: its files answer ENOTCONN from then on.
    pub fn die(&mut self) {
        let supervisor = self.supervisor();
        // The supervisor first: it would start others.
        for pid in std::iter::once(supervisor).chain(children(supervisor)) {
            // It may have ended with its parent.
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
        self.wait();
        wait_until("the mount is dead", || {
            std::fs::metadata(self.root()).is_err_and(|e| e.raw_os_error() == Some(107))
        });
    }

    /// Mounts at the same place again.
    pub fn start(&mut self, options: &MountOptions) {
        self.child = Some(self.command(options).spawn().unwrap());
        self.is_wrapped = !options.wrapper.is_empty();
        // Before that, a plugin that ends its worker causes a restart.
        wait_for(Duration::from_secs(120), "the mount answers", || {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("vistafs has ended: {status}: {}", self.messages());
            }
            // The second one is of a page-cache tree.
            let is_there = |name| self.path(name).symlink_metadata().is_ok();
            // The kernel has names and attributes of a dead mount in its caches; statfs(2) asks the server.
            let fuse = rustix::fs::statfs(&self.root).map(|found| found.f_type);
            fuse == Ok(FUSE_SUPER_MAGIC) && (is_there("proc") || is_there("self"))
        });
    }

    /// Starts another one for the same mount, and returns what ran before.
    pub fn succeed(&mut self, options: &MountOptions) -> Child {
        let child = self.command(options).spawn().unwrap();
        self.child.replace(child).unwrap()
    }

    /// The same mount for who reads there while its server changes; its drop ends nothing.
    #[must_use]
    pub fn for_readers(&self) -> Self {
        Self {
            root: self.root(),
            _dir: None,
            child: None,
            is_wrapped: false,
        }
    }

    /// For containers: each one's own directory. Its drop ends nothing.
    #[must_use]
    pub fn own(&self) -> Self {
        let mut own = self.for_readers();
        own.root.push("self");
        own
    }

    /// The command that mounts there.
    #[must_use]
    pub fn command(&self, options: &MountOptions) -> Command {
        let binary = options.binary.clone().unwrap_or_else(self::binary);
        let mut words: Vec<&Path> = options.wrapper.iter().map(Path::new).collect();
        words.push(&binary);
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .args(match &options.as_lxcfs {
                Some(options) => [&["lxcfs".to_owned()], &options[..]].concat(),
                None => vec!["mount".to_owned()],
            })
            .arg(self.root())
            .arg("--config")
            .arg(self.root.with_file_name("config.toml"))
            .args((!options.repairs).then_some("--no-repair"))
            .args(&options.args)
            .envs(options.env.iter().cloned())
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// A path below the mount.
    #[must_use]
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// The mount point.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.root.clone()
    }

    /// Reads a file below the mount.
    #[must_use]
    #[track_caller]
    pub fn read(&self, below: &str) -> String {
        std::fs::read_to_string(self.path(below)).unwrap_or_else(|e| panic!("{below}: {e}"))
    }

    /// The process number of the worker, which serves.
    #[must_use]
    pub fn pid(&self) -> u32 {
        let mut worker = None;
        wait_until("there is a worker", || {
            // It starts others, which do not stay.
            let is_worker = |pid: &u32| {
                let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                words.split(|byte| *byte == 0).any(|word| word == b"worker")
            };
            worker = children(self.supervisor()).into_iter().rfind(is_worker);
            worker.is_some()
        });
        worker.unwrap()
    }

    /// The process number of the supervisor, which holds the mount.
    #[must_use]
    pub fn supervisor(&self) -> u32 {
        let child = self.child.as_ref().unwrap().id();
        // Not by its name alone: a process that was just executed again has another for an instant.
        let comm = std::fs::read_to_string(format!("/proc/{child}/comm")).unwrap();
        if !self.is_wrapped || comm.trim_end() == "vistafs" {
            return child;
        }
        // A wrapper that stays (`unshare --fork`).
        children(child).first().copied().unwrap_or(child)
    }

    /// How many descriptors the worker holds.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        descriptors(self.pid())
    }

    /// The directories in `/proc` of the worker's threads, or of those of one name.
    #[must_use]
    pub fn threads(&self, name: Option<&str>) -> Vec<PathBuf> {
        let all = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let fits = |dir: &PathBuf| {
            // One that ends meanwhile has no name.
            let comm = std::fs::read_to_string(dir.join("comm")).unwrap_or_default();
            name.is_none_or(|name| comm.trim_end() == name)
        };
        all.map(|entry| entry.unwrap().path())
            .filter(fits)
            .collect()
    }

    /// Sends a signal, waits for the end; exit status and messages.
    pub fn end(&mut self, signal: Signal) -> (std::process::ExitStatus, String) {
        let supervisor = Pid::from_raw(self.supervisor().cast_signed());
        kill(supervisor, signal).unwrap();
        self.wait()
    }

    /// Waits for the server's own end; exit status and messages.
    pub fn wait(&mut self) -> (std::process::ExitStatus, String) {
        let mut child = self.child.take().unwrap();
        let mut messages = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut messages)
            .unwrap();
        (child.wait().unwrap(), messages)
    }

    /// Waits until the server has written this; all that it has written since it was last heard.
    #[must_use]
    #[track_caller]
    pub fn hear(&mut self, what: &str) -> String {
        let mut said = String::new();
        wait_until(&format!("it says {what:?}"), || {
            let stderr = self.child.as_ref().unwrap().stderr.as_ref().unwrap();
            let mut fds = [PollFd::new(stderr.as_fd(), PollFlags::POLLIN)];
            if poll(&mut fds, PollTimeout::ZERO).unwrap() > 0 {
                said += &self.messages();
            }
            said.contains(what)
        });
        said
    }

    /// Output of the server so far.
    fn messages(&mut self) -> String {
        let mut text = vec![0; 64 << 10];
        let Some(stderr) = self.child.as_ref().and_then(|c| c.stderr.as_ref()) else {
            return String::new();
        };
        let fd: OwnedFd = stderr.as_fd().try_clone_to_owned().unwrap();
        let got = nix::unistd::read(&fd, &mut text).unwrap_or(0);
        String::from_utf8_lossy(&text[..got]).into_owned()
    }
}

impl Default for Mounted {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.child.is_some() {
            let (status, messages) = self.end(Signal::SIGTERM);
            if !std::thread::panicking() {
                assert!(status.success(), "{status}: {messages}");
                assert!(!messages.contains("panicked"), "{messages}");
            } else {
                eprintln!("the server's messages:\n{messages}");
            }
        }
    }
}

/// The processes that a process has started, the newest last.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let children = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(children).unwrap_or_default();
    let numbers = children.split_whitespace();
    numbers.filter_map(|pid| pid.parse().ok()).collect()
}

/// How many descriptors a process holds.
#[must_use]
pub fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count()
}

/// State of each thread of a process, by the kernel's letters (proc_pid_stat(5)). Those that end
/// meanwhile are left out; a process that has ended has none.
#[must_use]
pub fn thread_states(pid: u32) -> Vec<char> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter();
    tasks
        .flatten()
        .flatten()
        .filter_map(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
            // After the name, which may have anything in it.
            stat.rsplit_once(") ")?.1.chars().next()
        })
        .collect()
}

/// The name of each thread of a process.
#[must_use]
pub fn thread_names(pid: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter();
    let names = tasks.flatten().flatten().filter_map(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        Some(name.trim_end().to_owned())
    });
    names.collect()
}

/// How often the threads of a process went to sleep so far: as often as they were woken. One that ends
/// meanwhile is missed in the sum, which then is another.
#[must_use]
pub fn wake_ups(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).ok())
        .map(|status| field(&status, "voluntary_ctxt_switches:"))
        .sum()
}

/// Waits up to a minute: an emulated processor may stand still for seconds.
#[track_caller]
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_for(Duration::from_secs(60), what, condition);
}

/// Waits as long as that.
#[track_caller]
pub fn wait_for(most: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < most, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
