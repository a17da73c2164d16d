//! Removes vistafs's user, privileges and working directory from a command.
//!
//! Runs as a separate process between vistafs and the command: a serving process has many threads,
//! and must do nothing between fork(2) and execve(2) but start another program.

use std::convert::Infallible;
use std::ffi::CString;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, User, chdir, execv, setgroups, setresgid, setresuid};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// Looks up a user other than root.
///
/// # Errors
/// An explanation.
pub fn user(name: &str) -> Result<(Uid, Gid), String> {
    let found = User::from_name(name).map_err(|errno| format!("user {name}: {errno}"))?;
    let user = found.ok_or_else(|| format!("user {name} does not exist"))?;
    if user.uid.is_root() || user.gid.as_raw() == 0 {
        return Err(format!(
            "user {name} is root; a command needs one without privileges"
        ));
    }
    Ok((user.uid, user.gid))
}

/// Changes to that user and executes the command.
///
/// # Errors
/// An explanation of the failure.
pub fn execute(name: &str, argv: &[CString]) -> Result<Infallible, String> {
    // Until the user changes, the kernel kills this process when its parent ends.
    let parent = getppid();
    let (uid, gid) = user(name)?;
    let program = argv.first().ok_or("no command")?;
    let failed = |what: &'static str| move |errno: nix::Error| format!("{what}: {errno}");
    // vistafs itself may be protected from the OOM killer; a command is not.
    std::fs::write("/proc/self/oom_score_adj", "0").map_err(|error| error.to_string())?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(failed("core files"))?;
    setrlimit(Resource::RLIMIT_NOFILE, 256, 256).map_err(failed("open files"))?;
    umask(Mode::from_bits_truncate(0o077));
    chdir("/").map_err(failed("/"))?;
    setgroups(&[gid]).map_err(failed("groups"))?;
    setresgid(gid, gid, gid).map_err(failed("group"))?;
    setresuid(uid, uid, uid).map_err(failed("user"))?;
    rustix::thread::set_no_new_privs(true).map_err(|errno| format!("privileges: {errno}"))?;
    // The command ends with the thread that waits for it; the change of user has reset this
    // setting.
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
    fn root_and_unknown_users_are_refused() {
        assert!(user("root").unwrap_err().contains("is root"));
        assert!(
            user("no-such-user-x")
                .unwrap_err()
                .contains("does not exist")
        );
        assert!(user("nobody").is_ok());
    }
}
