//! Child processes that inherit nothing by accident.
//!
//! vistafs blocks signals and reads them from a descriptor; a child that inherits the mask is
//! immune to SIGTERM, and so are its own children. A descriptor without CLOEXEC, from a plugin or
//! vistafs's parent, would be open in a command that an unprivileged user runs. So every child is
//! started here.
#![allow(
    unsafe_code,
    reason = "signals and descriptors of the child are set between fork(2) and execve(2)"
)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use rustix::fs::{Mode, OFlags, RawDir};
use rustix::io::{Errno, FdFlags};
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

/// Inheritance of a child beyond standard input, output and error. By default nothing, and the
/// child is killed when the thread that started it ends.
#[derive(Debug, Default, Clone, Copy)]
pub struct Inherited<'a> {
    /// Descriptors that stay open in it, under their numbers.
    pub descriptors: &'a [BorrowedFd<'a>],
    /// Signals that are ignored here stay ignored there, as with nohup(1).
    pub ignored_signals: bool,
    /// It goes on when the thread that started it ends.
    pub lives_on: bool,
}

/// Starts a child with an empty signal mask, default signal dispositions, and no descriptors but those that
/// `inherited` names.
///
/// # Errors
/// As [`Command::spawn`]; and when the descriptors cannot be closed.
pub fn spawn(mut command: Command, inherited: Inherited<'_>) -> io::Result<Child> {
    let kept = inherited.descriptors.iter().map(AsRawFd::as_raw_fd);
    let kept: Vec<RawFd> = kept.collect();
    let (
        parent,
        Inherited {
            ignored_signals,
            lives_on,
            ..
        },
    ) = (getpid(), inherited);
    let prepare = move || {
        // Before the mask: no handler of ours may run in the child.
        if !ignored_signals {
            reset_dispositions();
        }
        unblock_signals()?;
        if !lives_on {
            die_with(parent)?;
        }
        close_others(&kept)
    };
    // SAFETY: between fork(2) and execve(2) of a threaded process it only makes system calls: it
    // takes no lock and allocates no memory.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}

fn reset_dispositions() {
    // Not by signal(3), which refuses the signals that glibc uses itself and posix_spawn(3) leaves
    // ignored. All zeros is the default in every architecture's structure, which has at most 32
    // bytes.
    let default = [0_u64; 8];
    for signal in 1..=libc::SIGRTMAX() {
        let (action, none) = (default.as_ptr(), std::ptr::null::<u64>());
        // SAFETY: the kernel reads one pointer, within its length, and writes nothing. Signals that cannot be
        // changed are refused.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action, none, 8_usize) };
    }
}

fn unblock_signals() -> io::Result<()> {
    let mut empty = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: it initialises the set that it is given.
    unsafe { libc::sigemptyset(empty.as_mut_ptr()) };
    // SAFETY: the set was made above; the old one is not wanted.
    let failed =
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, empty.as_ptr(), std::ptr::null_mut()) };
    if failed == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Asks the kernel to kill this process when the thread that started it ends. `Err`: that has happened before.
fn die_with(parent: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() == Some(parent) {
        Ok(())
    } else {
        Err(Errno::SRCH.into())
    }
}

/// Marks all descriptors above standard error as close-on-exec, then unmarks the kept ones. They
/// are not closed at once: one of them reports a failed execve(2) to the caller of [`spawn`].
fn close_others(kept: &[RawFd]) -> io::Result<()> {
    // SAFETY: numbers alone.
    let closed = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3 as libc::c_uint,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if closed != 0 {
        // Before Linux 5.11.
        each_descriptor(|number| set_flags(number, FdFlags::CLOEXEC))?;
    }
    kept.iter()
        .try_for_each(|number| set_flags(*number, FdFlags::empty()))?;
    Ok(())
}

/// Calls `change` with the number of each descriptor above standard error.
fn each_descriptor(change: impl Fn(RawFd) -> rustix::io::Result<()>) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(c"/proc/self/fd", flags, Mode::empty())?;
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(&directory, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let number = std::str::from_utf8(entry.file_name().to_bytes());
        if let Some(number) = number.ok().and_then(|name| name.parse().ok())
            && number > 2
        {
            change(number)?;
        }
    }
    Ok(())
}

fn set_flags(number: RawFd, flags: FdFlags) -> rustix::io::Result<()> {
    // SAFETY: it is open, or the kernel refuses the number; nothing is closed.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_setfd(descriptor, flags)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::process::Stdio;

    use super::*;

    fn printed(script: &str, inherited: Inherited<'_>) -> String {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        let output = spawn(command, inherited).unwrap().wait_with_output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }

    /// A line of /proc/self/status of the child.
    fn status(name: &str, inherited: Inherited<'_>) -> String {
        // Not the shell's own: it blocks signals for a moment whenever it starts something.
        printed(&format!("exec grep {name} /proc/self/status"), inherited)
            .split_whitespace()
            .nth(1)
            .unwrap()
            .to_owned()
    }

    #[test]
    fn the_mask_is_empty_and_dispositions_are_the_default() {
        // In a thread of its own: the mask and the disposition are not for other tests. SIGUSR2 is used by
        // none of them.
        std::thread::spawn(|| {
            // SAFETY: a number and a constant.
            unsafe { libc::signal(libc::SIGUSR2, libc::SIG_IGN) };
            let mut mask = MaybeUninit::<libc::sigset_t>::uninit();
            // SAFETY: it fills the set that it is given.
            unsafe { libc::sigfillset(mask.as_mut_ptr()) };
            // SAFETY: the set was made above.
            unsafe {
                libc::pthread_sigmask(libc::SIG_SETMASK, mask.as_ptr(), std::ptr::null_mut())
            };
            let script = "sleep 100 & p=$!; kill $p; wait $p; echo $?";
            assert_eq!(printed(script, Inherited::default()), "143\n");
            for line in ["SigBlk", "SigIgn"] {
                let bits = status(line, Inherited::default());
                assert_eq!(u64::from_str_radix(&bits, 16), Ok(0), "{line}");
            }
            let keeps = Inherited {
                ignored_signals: true,
                ..Inherited::default()
            };
            let ignored = u64::from_str_radix(&status("SigIgn", keeps), 16).unwrap();
            assert_ne!(ignored & 1 << (libc::SIGUSR2 - 1), 0);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn only_named_descriptors_are_open() {
        let [stray, named] = [(); 2].map(|()| File::open("/dev/null").unwrap());
        set_flags(stray.as_raw_fd(), FdFlags::empty()).unwrap();
        let is_open = |file: &File, inherited| {
            let script = format!("test -e /proc/self/fd/{} && echo open", file.as_raw_fd());
            printed(&script, inherited) == "open\n"
        };
        let descriptors = [named.as_fd()];
        let names = Inherited {
            descriptors: &descriptors,
            ..Inherited::default()
        };
        assert!(!is_open(&stray, names));
        assert!(is_open(&named, names) && !is_open(&named, Inherited::default()));
    }

    #[test]
    fn each_descriptor_is_found_without_close_range() {
        let file = File::open("/dev/null").unwrap();
        let found = std::cell::Cell::new(false);
        each_descriptor(|number| {
            found.set(found.get() || number == file.as_raw_fd());
            assert!(number > 2);
            Ok(())
        })
        .unwrap();
        assert!(found.get());
    }

    #[test]
    fn a_child_ends_with_the_thread_that_started_it() {
        let start = |lives_on| {
            let inherited = Inherited {
                lives_on,
                ..Inherited::default()
            };
            let mut command = Command::new("sleep");
            command.arg("100");
            let started = std::thread::spawn(move || spawn(command, inherited).unwrap());
            started.join().unwrap()
        };
        use std::os::unix::process::ExitStatusExt;
        let killed = start(false).wait().unwrap();
        assert_eq!(killed.signal(), Some(libc::SIGKILL));
        let mut other = start(true);
        assert_eq!(other.try_wait().unwrap(), None);
        other.kill().unwrap();
        other.wait().unwrap();
        // A parent that has ended already is another one.
        let missing = Pid::from_raw(i32::MAX);
        assert!(missing.is_some_and(|parent| getppid() != Some(parent)));
    }

    #[test]
    fn a_program_that_is_missing_is_an_error() {
        let missing = spawn(Command::new("/no/such/program"), Inherited::default());
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
