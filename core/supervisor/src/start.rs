//! The start of a supervisor.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vistafs_attach::MountName;
use vistafs_handover::Handover;

use super::backoff::Backoff;
use super::control::Control;
use super::pid_file::PidFile;
use super::program::Program;
use super::state::{Handed, State, StateFile, seconds};
use super::succession::{self, Offer};
use super::worker_process::WorkerProcess;
use super::{RESUME, Readiness, Supervisor, store};
use crate::fuse_init;
use crate::fuse_mount::{FuseMount, without_asking};
use crate::inherited;

/// The options of a mount.
#[derive(Debug, Clone, Default)]
pub struct MountOptions {
    /// The mount point, an existing directory unless `mkdir` is set.
    pub mount_point: PathBuf,
    /// Keep the mount in the descriptor store of systemd on SIGTERM.
    pub stored: bool,
    /// Take the mount over from a running supervisor, and hand it over to the next one.
    pub handover: bool,
    /// Create the mount point.
    pub mkdir: bool,
    /// Repair dead views of running containers at start.
    pub repairs: bool,
    /// Mount the page-cache tree.
    pub page_cache: bool,
    /// Mount with the source and the type of lxcfs.
    pub as_lxcfs: bool,
}

/// Mounts, or takes a mount over, and keeps it served until a signal ends it. Returns the exit status.
///
/// `options` are also the options of its workers. `pid_file` is locked: a second supervisor with the same file is
/// refused.
pub fn supervise(
    args: &MountOptions,
    options: Vec<OsString>,
    pid_file: Option<&Path>,
) -> anyhow::Result<u8> {
    // Before the first child, whose exit they report.
    let signals: SigSet = [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGCHLD,
    ]
    .into_iter()
    .collect();
    signals.thread_block().context("cannot block signals")?;
    // After execve(2) through a descriptor, the kernel has set another name.
    let _ = rustix::thread::set_name(c"vistafs");
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let signals = SignalFd::with_flags(&signals, flags).context("cannot wait for signals")?;
    let mut begun = Begun {
        shown: args.mount_point.clone(),
        options,
        stored: args.stored,
        repairs: args.repairs,
        pid_file: None,
        hands_over: args.handover,
        page_cache: args.page_cache,
        as_lxcfs: args.as_lxcfs,
        signals,
    };
    if let Some(state) = handed_over()? {
        return begun.resume(state, pid_file)?.run();
    }
    begun.pid_file = pid_file.map(PidFile::lock).transpose()?;
    if args.stored
        && let Some(taken) = from_store(&args.mount_point, args.page_cache)
    {
        return begun.take_over(taken)?.run();
    }
    if args.mkdir {
        make_directory(&args.mount_point)?;
    }
    if args.handover
        && let Some(offer) = succession::ask(&without_asking(&args.mount_point)?)?
    {
        return begun.succeed(offer)?.run();
    }
    begun.anew()?.run()
}

/// Creates a mount point without accessing a mount on it, whose server may be dead.
fn make_directory(path: &Path) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)
            .with_context(|| format!("cannot make {}", parent.display()))?;
    }
    match std::fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.with_context(|| format!("cannot make {}", path.display())),
    }
}

/// Returns the state that the previous program in this process has passed on.
fn handed_over() -> anyhow::Result<Option<OwnedFd>> {
    let Ok(value) = std::env::var(RESUME) else {
        return Ok(None);
    };
    let numbers = value
        .split_once(':')
        .and_then(|(pid, number)| Some((pid.parse::<u32>().ok()?, number.parse::<RawFd>().ok()?)));
    match numbers {
        Some((pid, number)) if pid == std::process::id() => Ok(Some(inherited::take(number)?)),
        // Set for the parent process, and inherited.
        Some(_) => Ok(None),
        None => bail!("{RESUME} is not for you to set"),
    }
}

/// The resources left by an ended supervisor.
struct Taken {
    mount: FuseMount,
    device: OwnedFd,
    state: State,
    state_file: StateFile,
    handover: Option<OwnedFd>,
}

/// Returns the mount stored by the service manager, if it exists and is the requested one.
fn from_store(mount_point: &Path, page_cache: bool) -> Option<Taken> {
    let opened = store::take().and_then(|stored| {
        let opened = stored.state.map(StateFile::open).transpose()?;
        let opened = stored.device.zip(opened);
        Ok(opened.map(|(device, (file, state))| (device, file, state, stored.handover)))
    });
    let (device, state_file, mut state, handover) = match opened {
        Ok(opened) => opened?,
        Err(error) => {
            log::warn!(
                "cannot use the descriptors stored by the service manager; mounting again: {error:#} \
                 (vistafs repair replaces the views of running containers)"
            );
            return None;
        }
    };
    state.handed = None;
    let mount = FuseMount::again(PathBuf::from(&state.mount_point), state.device?);
    if is_closed(&device) || !mount.is_there() {
        mount.leave();
        return None;
    }
    let is_there = without_asking(mount_point).ok().as_deref() == Some(mount.mount_point());
    if !is_there || state.page_cache != page_cache {
        log::info!("unmounting {}", mount.mount_point().display());
        return None;
    }
    if state.init.is_none() {
        // The supervisor ended before it read FUSE_INIT. If it had read it, the kernel can resend it.
        let asked = match fuse_init::resend(&device) {
            // Before Linux 6.9.
            Err(rustix::io::Errno::INVAL) => Ok(()),
            asked => asked.context("asking the kernel"),
        };
        let read = asked.and_then(|()| fuse_init::read_init(&device));
        match read {
            Ok(init) => state.init = Some(init),
            Err(error) => {
                log::warn!(
                    "mounting again: {error:#} (vistafs repair replaces the views of running containers)"
                );
                return None;
            }
        }
    }
    Some(Taken {
        mount,
        device,
        state,
        state_file,
        handover,
    })
}

/// Returns the stored shared memory, or a new one.
fn handover(kept: Option<OwnedFd>) -> Option<Arc<Handover>> {
    let adopted = kept.map(Handover::adopt).transpose();
    let memory = adopted.and_then(|adopted| adopted.map_or_else(Handover::create, Ok));
    match memory {
        Ok(memory) => Some(memory),
        Err(error) => {
            log::warn!("{error}");
            None
        }
    }
}

struct Begun {
    shown: PathBuf,
    options: Vec<OsString>,
    stored: bool,
    repairs: bool,
    pid_file: Option<PidFile>,
    hands_over: bool,
    page_cache: bool,
    as_lxcfs: bool,
    signals: SignalFd,
}

impl Begun {
    /// Mounts. A first worker is ready before that, so that its errors are reported by the
    /// command.
    fn anew(self) -> anyhow::Result<Supervisor> {
        vistafs_attach::clear_dead_mount(&self.shown)?;
        FuseMount::check(&self.shown)?;
        let device = FuseMount::open()?;
        let program = Program::running()?;
        let mount_point = self.shown.canonicalize()?;
        let mut state = State::new(mount_point.clone().into_os_string());
        state.page_cache = self.page_cache;
        let mut state_file = StateFile::create()?;
        state_file.write(&state)?;
        let shown = self.shown.clone();
        let stored = self.stored;
        let name = match (self.page_cache, self.as_lxcfs) {
            (true, _) => MountName::PAGE_CACHE,
            (false, true) => MountName::LXCFS,
            (false, false) => MountName::USUAL,
        };
        let mut supervisor = self.supervisor(None, device, state, state_file, program);
        supervisor.handover = handover(None);
        supervisor.first_worker()?;
        if stored {
            store::clear();
            // Before another process can rely on the store.
            let handover = supervisor.handover.as_ref().map(|memory| memory.as_fd());
            store::put(&supervisor.device, &supervisor.state_file, handover)
                .context("cannot store descriptors with the service manager")?;
        }
        let mount = FuseMount::on(&shown, &supervisor.device, name)?;
        supervisor.state.device = Some(mount.device());
        supervisor.mount = Some(mount);
        supervisor.state.init = Some(fuse_init::read_init(&supervisor.device)?);
        supervisor.save();
        supervisor.listen();
        supervisor.serve_prepared();
        Ok(supervisor)
    }

    /// Continues with the mount of an ended supervisor.
    fn take_over(self, taken: Taken) -> anyhow::Result<Supervisor> {
        let Taken {
            mount,
            device,
            state,
            state_file,
            handover: memory,
        } = taken;
        log::info!("taking over {}", self.shown.display());
        let program = Program::running()?;
        let mut supervisor = self.supervisor(Some(mount), device, state, state_file, program);
        supervisor.handover = handover(memory);
        // It may have been killed together with its worker.
        supervisor.lost_requests = true;
        supervisor.resend();
        supervisor.save();
        supervisor.listen();
        supervisor.start_next_worker();
        Ok(supervisor)
    }

    /// Takes the mount over from a running supervisor. Nothing changes there until the new worker is ready.
    fn succeed(self, offer: Offer) -> anyhow::Result<Supervisor> {
        let shown = self.shown.display().to_string();
        let mount_point = without_asking(&self.shown)?;
        let Offer {
            predecessor,
            device,
            control,
            handover: memory,
            mut state,
        } = offer;
        if state.page_cache != self.page_cache {
            let (is, so) = if state.page_cache {
                ("", "")
            } else {
                ("not ", "out")
            };
            bail!("{shown} is {is}a mount of the page-cache tree: mount with{so} --page-cache");
        }
        let number = state.device.context("a state without a mount")?;
        let there = || -> anyhow::Result<FuseMount> {
            let mount = FuseMount::again(mount_point.clone(), number);
            if is_closed(&device) || !mount.is_there() {
                mount.leave();
                bail!(
                    "what is to be handed over is not mounted at {shown} (in a container, mount the \
                     directory above it with propagation: Bidirectional)"
                );
            }
            Ok(mount)
        };
        there()?.leave();
        let init = state.init.take().context("a state without FUSE_INIT")?;
        state.mount_point = mount_point.clone().into_os_string();
        let program = Program::running()?;
        let state_file = StateFile::create()?;
        let copy = device.try_clone().context("no descriptor left")?;
        let mut supervisor = self.supervisor(None, copy, state, state_file, program);
        supervisor.handover = handover(memory);
        // Without FUSE_INIT the worker waits for the order to serve.
        let pid = supervisor.first_worker()?;
        log::info!("taking over {shown}");
        supervisor.lost_requests = predecessor.take()?;
        // The predecessor may have been terminated meanwhile, and have unmounted.
        supervisor.mount = Some(there()?);
        supervisor.state.init = Some(init);
        supervisor.predecessor = Some(predecessor);
        supervisor.control = Some(Control::of(&mount_point, control)?);
        // No worker serves now: resent requests are unfinished ones.
        supervisor.resend();
        supervisor.save();
        supervisor.prepared(pid);
        Ok(supervisor)
    }

    /// Continues in the process of the previous program.
    fn resume(mut self, state: OwnedFd, pid_file: Option<&Path>) -> anyhow::Result<Supervisor> {
        let (state_file, mut state) = StateFile::open(state)?;
        let Some(handed) = state.handed.take() else {
            bail!("{RESUME} is not for you to set");
        };
        let Handed {
            program,
            device,
            worker,
            handover: memory,
            control,
            waiting,
            reload,
            pid_file: number,
            holder,
        } = handed;
        self.pid_file = pid_file
            .zip(number)
            .map(|(path, number)| PidFile::again(path, number))
            .transpose()?;
        let device = inherited::take(device)?;
        let program = Program::running_from(program.into())?;
        let number = state.device.context("a state without a mount")?;
        let mount = FuseMount::again(PathBuf::from(&state.mount_point), number);
        let control = control
            .map(|listener| Control::again(mount.mount_point(), listener, waiting))
            .transpose();
        let mut supervisor = self.supervisor(Some(mount), device, state, state_file, program);
        supervisor.current = Some(WorkerProcess::again(&worker)?);
        supervisor.handover = handover(memory.map(inherited::take).transpose()?);
        supervisor.holder = holder.map(inherited::take).transpose()?;
        supervisor.hold_files();
        supervisor.readiness = Readiness::Ready;
        if supervisor.state.resends.is_none() {
            // Tests whether the kernel can resend.
            supervisor.resend();
        }
        supervisor.reads_anew = false;
        supervisor.reload_wanted = reload;
        match control {
            Ok(Some((control, asker))) => {
                supervisor.control = Some(control);
                supervisor.exchanged(asker);
            }
            Ok(None) => supervisor.listen(),
            Err(error) => {
                log::warn!("a waiting command gets no answer; repeat it: {error:#}");
                supervisor.listen();
            }
        }
        supervisor.save();
        Ok(supervisor)
    }

    fn supervisor(
        self,
        mount: Option<FuseMount>,
        device: OwnedFd,
        state: State,
        state_file: StateFile,
        program: Program,
    ) -> Supervisor {
        Supervisor {
            shown: self.shown,
            options: self.options,
            stored: self.stored,
            repairs: self.repairs,
            mount,
            device,
            state,
            state_file,
            started: seconds(),
            program,
            pid_file: self.pid_file,
            signals: self.signals,
            holder: None,
            control: None,
            current: None,
            leaving: Vec::new(),
            exchange: None,
            hands_over: self.hands_over,
            successor: None,
            predecessor: None,
            backoff: Backoff::default(),
            start_at: None,
            handover: None,
            lost_requests: false,
            looks: super::stuck::Looks::default(),
            progress: super::progress::Progress::default(),
            readiness: Readiness::Starting,
            reads_anew: true,
            reload_wanted: false,
            ending: None,
        }
    }
}

/// Returns whether the connection has ended: unmounted everywhere, or aborted.
pub(super) fn is_closed(device: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(device, PollFlags::empty())];
    poll(&mut fds, Some(&Timespec::default())).is_ok() && fds[0].revents().contains(PollFlags::ERR)
}
