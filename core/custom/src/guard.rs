//! What a command may not keep of vistafs: its user, its privileges, its place.
//!
//! A process of its own, between vistafs and the command: a process that serves has many threads, and
//! must do nothing between fork(2) and execve(2) but start another program.

use std::convert::Infallible;
use std::ffi::CString;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, User, chdir, execv, setgroups, setresgid, setresuid};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// The user of a name, who is not root.
///
/// # Errors
/// In words.
pub fn user(name: &str) -> Result<(Uid, Gid), String> {
    let found = User::from_name(name).map_err(|errno| format!("user {name}: {errno}"))?;
    let user = found.ok_or_else(|| format!("there is no user {name}"))?;
    if user.uid.is_root() || user.gid.as_raw() == 0 {
        return Err(format!(
            "user {name} is root; a command needs one without privileges"
        ));
    }
    Ok((user.uid, user.gid))
}

/// Becomes that user and executes the command.
///
/// # Errors
/// In words, if it cannot.
pub fn execute(name: &str, argv: &[CString]) -> Result<Infallible, String> {
    // Until the user changes, the kernel kills us when it ends.
    let parent = getppid();
    let (uid, gid) = user(name)?;
    let program = argv.first().ok_or("no command")?;
    let failed = |what: &'static str| move |errno: nix::Error| format!("{what}: {errno}");
    // vistafs itself may be spared when memory runs out; a command is not.
    std::fs::write("/proc/self/oom_score_adj", "0").map_err(|error| error.to_string())?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(failed("core files"))?;
    setrlimit(Resource::RLIMIT_NOFILE, 256, 256).map_err(failed("open files"))?;
    umask(Mode::from_bits_truncate(0o077));
    chdir("/").map_err(failed("/"))?;
    setgroups(&[gid]).map_err(failed("groups"))?;
    setresgid(gid, gid, gid).map_err(failed("group"))?;
    setresuid(uid, uid, uid).map_err(failed("user"))?;
    rustix::thread::set_no_new_privs(true).map_err(|errno| format!("privileges: {errno}"))?;
    // It does not outlive the thread that waits for it; a change of the user has undone that.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|errno| errno.to_string())?;
    if getppid() != parent {
        return Err("vistafs has ended".into());
    }
    execv(program, argv).map_err(|errno| format!("{}: {errno}", program.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_nobody_at_all_are_refused() {
        assert!(user("root").unwrap_err().contains("is root"));
        assert!(user("no-such-user-x").unwrap_err().contains("no user"));
        assert!(user("nobody").is_ok());
    }
}
