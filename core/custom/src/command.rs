//! The cached output of a command.
//!
//! For each container one instance runs at a time, and all readers there share its output or error
//! until it expires: the number of runs does not depend on the number of reads. It runs on an
//! offload thread, never on a serving thread, and at most [`MOST`] run at once.

mod run;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use vistafs_container::Container;
use vistafs_host::HostError;
use vistafs_view::ViewError;

use crate::scene::Scene;
use crate::values::VALUES;

/// Maximum number of running commands, over all files and containers.
pub(crate) const MOST: usize = 8;
/// The PATH of commands.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSpec {
    /// The program, by an absolute path, and its arguments.
    pub argv: Vec<String>,
    /// Name of the user that runs it; never root.
    pub user: String,
    /// The command is killed then, with its process group.
    pub timeout: Duration,
    /// A command that prints more is killed.
    pub max_bytes: usize,
    /// TTL of the output.
    pub cache: Duration,
}

/// A file that shows a command's output.
#[derive(Debug)]
pub struct Command {
    spec: CommandSpec,
    // Arguments that start a command as a user.
    guard: Vec<OsString>,
    // Not stored in the container: a named container without a process is forgotten at once.
    // `None`: the host.
    results: Mutex<HashMap<Option<Identity>, Slot>>,
}

/// Identity of a container: its cgroups and its start. The cgroups alone do not suffice: a later
/// container may start in the cgroups of an ended one, and must not read output made for that one.
type Identity = (Vec<u8>, Duration);

fn identity(container: &Container) -> Identity {
    (container.cgroups().mark(), container.start())
}

/// Locked while the command runs.
type Slot = Arc<Mutex<Option<Kept>>>;

#[derive(Debug)]
struct Kept {
    until: Instant,
    printed: Result<Arc<Vec<u8>>, String>,
}

impl Command {
    /// `guard` is prepended to the command: it changes to the user and executes the rest
    /// ([`guard`](crate::guard)).
    #[must_use]
    pub fn new(spec: CommandSpec, guard: Vec<OsString>) -> Self {
        Self {
            spec,
            guard,
            results: Mutex::default(),
        }
    }

    /// The command and its limits.
    #[must_use]
    pub fn spec(&self) -> &CommandSpec {
        &self.spec
    }

    pub(crate) fn render(
        &self,
        scene: &mut Scene<'_, '_>,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        let slot = self.slot(scene.container().map(identity));
        // Held while the command runs: concurrent readers get the same output.
        let mut slot = slot.lock();
        let is_fresh = |kept: &&Kept| kept.until > Instant::now();
        let printed = match slot.as_ref().filter(is_fresh) {
            Some(kept) => kept.printed.clone(),
            None => {
                let environment = environment(scene)?;
                let printed = self.run(environment).map(Arc::new);
                // A failed command is not retried before the TTL either.
                let until = Instant::now() + self.spec.cache;
                let kept = slot.insert(Kept { until, printed });
                kept.printed.clone()
            }
        };
        match printed {
            Ok(text) => {
                out.extend_from_slice(&text);
                Ok(())
            }
            Err(why) => Err(ViewError::Kernel(HostError::Io {
                path: self.program(),
                source: std::io::Error::other(why),
            })),
        }
    }

    /// The slot for a container's output.
    fn slot(&self, container: Option<Identity>) -> Slot {
        const SOME: usize = 64;
        let mut results = self.results.lock();
        if results.len() >= SOME && results.len().is_power_of_two() {
            let now = Instant::now();
            let is_old = |slot: &Mutex<Option<Kept>>| {
                let kept = slot.try_lock();
                kept.is_some_and(|kept| kept.as_ref().is_some_and(|kept| kept.until <= now))
            };
            results.retain(|_, slot| !is_old(slot));
        }
        Arc::clone(results.entry(container).or_default())
    }

    fn run(&self, environment: Vec<(String, OsString)>) -> Result<Vec<u8>, String> {
        let deadline = Instant::now() + self.spec.timeout;
        let _turn = Turn::take(deadline)
            .ok_or_else(|| format!("{MOST} commands were running all the time that it may take"))?;
        run::run(&self.guard, &self.spec, environment, deadline)
    }

    fn program(&self) -> PathBuf {
        self.spec
            .argv
            .first()
            .map_or_else(PathBuf::new, PathBuf::from)
    }
}

/// Checks that a command can run on this machine now.
///
/// # Errors
/// An explanation: the program or user does not exist, or the user is root.
pub fn check_command(user: &str, program: &Path) -> Result<(), String> {
    crate::guard::user(user)?;
    executable(program)
}

fn executable(program: &Path) -> Result<(), String> {
    let metadata = std::fs::metadata(program);
    let metadata = metadata.map_err(|error| format!("{}: {error}", program.display()))?;
    let is_executable =
        std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    if metadata.is_file() && is_executable {
        Ok(())
    } else {
        Err(format!("{} is not an executable file", program.display()))
    }
}

/// Returns the environment of a command.
fn environment(scene: &mut Scene<'_, '_>) -> Result<Vec<(String, OsString)>, ViewError> {
    let mut all = vec![
        ("PATH".to_owned(), PATH.into()),
        ("LANG".to_owned(), "C".into()),
    ];
    for value in VALUES {
        let mut text = Vec::new();
        value.read(scene)?.push(None, &mut text);
        let text = std::os::unix::ffi::OsStringExt::from_vec(text);
        all.push((value.variable(), text));
    }
    Ok(all)
}

/// Permission to run a command; released at drop.
struct Turn;

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

impl Turn {
    /// `None`: no permission before the deadline.
    fn take(deadline: Instant) -> Option<Self> {
        let mut running = RUNNING.lock();
        while *running >= MOST {
            if ENDED.wait_until(&mut running, deadline).timed_out() {
                return None;
            }
        }
        *running += 1;
        Some(Self)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock() -= 1;
        ENDED.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_the_maximum_run_at_once() {
        let soon = || Instant::now() + Duration::from_millis(20);
        let mut turns: Vec<_> = (0..MOST).map_while(|_| Turn::take(soon())).collect();
        assert_eq!(turns.len(), MOST);
        assert!(Turn::take(soon()).is_none());
        turns.pop();
        assert!(Turn::take(soon()).is_some());
    }

    #[test]
    fn expired_output_is_dropped() {
        let spec = CommandSpec {
            argv: vec!["/bin/true".into()],
            user: "nobody".into(),
            timeout: Duration::from_secs(1),
            max_bytes: 1,
            cache: Duration::from_secs(1),
        };
        let command = Command::new(spec, vec![]);
        let kept = |until| Kept {
            until,
            printed: Ok(Arc::default()),
        };
        let now = Instant::now();
        let of = |number: u8| Some((vec![number], Duration::ZERO));
        for number in 0..64u8 {
            let until = if number < 10 {
                now + Duration::from_secs(600)
            } else {
                now
            };
            *command.slot(of(number)).lock() = Some(kept(until));
        }
        let fresh = command.slot(None);
        assert_eq!(command.results.lock().len(), 11);
        assert!(Arc::ptr_eq(&fresh, &command.slot(None)));
        assert!(command.slot(of(9)).lock().is_some());
        assert!(command.slot(of(10)).lock().is_none());
    }

    #[test]
    fn a_new_container_in_reused_cgroups_gets_its_own_output() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("c/one")).unwrap();
        let mounts = b"30 1 0:30 / /c rw - cgroup2 cgroup2 rw\n";
        let hierarchies = vistafs_cgroup::Hierarchies::discover(mounts, dir.path()).unwrap();
        let begun = |seconds| {
            let located = hierarchies.locate_path(Path::new("/one")).unwrap();
            let start = Duration::from_secs(seconds);
            Container::new(&hierarchies, located, start, Default::default())
        };
        let (dead, next) = (begun(5), begun(9));
        assert_eq!(dead.cgroups().mark(), next.cgroups().mark());
        assert_ne!(identity(&dead), identity(&next));
        assert_eq!(identity(&dead), identity(&begun(5)));
    }

    #[test]
    fn a_file_that_is_not_executable_is_reported() {
        for (program, expected) in [
            ("/no/such/program", "No such file"),
            ("/etc/passwd", "is not an executable file"),
            ("/etc", "is not an executable file"),
        ] {
            let why = executable(Path::new(program)).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
        executable(Path::new("/bin/sh")).unwrap();
    }
}
