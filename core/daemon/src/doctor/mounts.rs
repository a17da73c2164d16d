//! Checks mounts of vistafs and lxcfs: whether they exist, and whether they have a server.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context as _;
use rustix::io::Errno;
use vistafs_attach::{DEFAULT_MOUNT, looks_like_ours};
use vistafs_text::mountinfo;

use super::Finding;

/// A live server replies within this time.
const PATIENCE: Duration = Duration::from_secs(2);

/// The reply of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Well,
    /// Its server has ended: ENOTCONN for ever.
    Dead,
    /// No reply within the time.
    Silent,
}

pub(super) fn examine(root: &Path) -> anyhow::Result<Vec<Finding>> {
    examine_with(root, ask)
}

fn examine_with(root: &Path, ask: impl Fn(PathBuf) -> Answer) -> anyhow::Result<Vec<Finding>> {
    let path = root.join("proc/self/mountinfo");
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut findings = Vec::new();
    for mount in mountinfo::mounts(&text).flatten() {
        let program = match mount.fs_type {
            _ if looks_like_ours(&mount) => "vistafs",
            b"fuse.lxcfs" => "lxcfs",
            _ => continue,
        };
        // Its files that are bound elsewhere belong to the same mount.
        let is_whole = &*mount.root == b"/";
        let at = Path::new(OsStr::from_bytes(&mount.mount_point));
        match ask(root.join(at.strip_prefix("/").unwrap_or(at))) {
            Answer::Dead => findings.push(dead(program, at, is_whole)),
            Answer::Silent if is_whole => findings.push(silent(program, at)),
            Answer::Well if is_whole => findings.push(serving(program, at)),
            Answer::Silent | Answer::Well => {}
        }
    }
    Ok(findings)
}

const ABOUT: &str = "mount";

fn serving(program: &str, at: &Path) -> Finding {
    if program == "vistafs" {
        return Finding::good(ABOUT, format!("vistafs at {}", at.display()));
    }
    Finding::limited(
        ABOUT,
        format!(
            "lxcfs is mounted at {}: containers show what is bound into them",
            at.display()
        ),
        "systemctl disable --now lxcfs, when no container uses it any more",
    )
}

/// Reports a dead mount. Views in containers may be dead too, which only their mount namespaces show.
fn dead(program: &str, at: &Path, is_whole: bool) -> Finding {
    let shown = at.display();
    let remedy = match (program, is_whole) {
        ("vistafs", true) if at == Path::new(DEFAULT_MOUNT) => {
            "systemctl restart vistafs; then vistafs repair, for running containers".to_owned()
        }
        ("vistafs", true) => format!(
            "vistafs mount {shown}; then vistafs repair --mount {shown}, for running containers"
        ),
        _ => format!("umount {shown}"),
    };
    let found = format!("{program} at {shown} is dead: its server has ended");
    Finding::broken(ABOUT, found, remedy)
}

fn silent(program: &str, at: &Path) -> Finding {
    let shown = at.display();
    let remedy = match program {
        "vistafs" => format!("vistafs status --mount {shown}; then systemctl restart vistafs"),
        _ => format!("umount -l {shown}"),
    };
    Finding::broken(
        ABOUT,
        format!("{program} at {shown} does not answer"),
        remedy,
    )
}

/// Accesses the mount in a separate thread, which is left behind if there is no reply.
fn ask(path: PathBuf) -> Answer {
    let (answered, answer) = mpsc::channel();
    std::thread::spawn(move || {
        let is_dead = matches!(rustix::fs::statvfs(&path), Err(Errno::NOTCONN));
        // The receiver may have stopped waiting.
        let _ = answered.send(if is_dead { Answer::Dead } else { Answer::Well });
    });
    answer.recv_timeout(PATIENCE).unwrap_or(Answer::Silent)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn host(mountinfo: &str) -> tempfile::TempDir {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tmp.path().join("proc/self")).unwrap();
        std::fs::write(tmp.path().join("proc/self/mountinfo"), mountinfo).unwrap();
        tmp
    }

    #[test]
    fn whole_mounts_count() {
        let host = host(
            "20 1 0:50 / /var/lib/lxcfs rw - fuse.lxcfs lxcfs rw\n\
             21 1 0:50 /proc/stat /proc/stat rw - fuse.lxcfs lxcfs rw\n\
             22 1 0:51 / /run/v\\040f rw - fuse.vistafs vistafs rw,user_id=0,group_id=0,default_permissions,allow_other\n",
        );
        // A missing file is not a dead mount.
        let found = examine(host.path()).unwrap();
        let found: Vec<_> = found.iter().map(|f| (f.state, f.found.as_str())).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].0, State::Limited);
        assert!(found[0].1.contains("/var/lib/lxcfs:"), "{found:?}");
        assert_eq!(found[1], (State::Good, "vistafs at /run/v f"));
    }

    #[test]
    fn what_is_dead_or_silent_is_told_with_its_remedy() {
        let host = host(
            "20 1 0:50 / /var/lib/vistafs rw - fuse.vistafs vistafs rw,user_id=0,group_id=0,default_permissions,allow_other\n\
             21 1 0:50 /proc/stat /srv/stat rw - fuse.vistafs vistafs rw,user_id=0,group_id=0,default_permissions,allow_other\n\
             22 1 0:51 / /m rw - fuse.vistafs vistafs rw,user_id=0,group_id=0,default_permissions,allow_other\n\
             23 1 0:52 / /var/lib/lxcfs rw - fuse.lxcfs lxcfs rw\n",
        );
        let with = |answer| examine_with(host.path(), |_| answer).unwrap();
        let dead = with(Answer::Dead);
        let remedies: Vec<&str> = dead.iter().filter_map(|f| f.remedy.as_deref()).collect();
        assert_eq!(
            remedies,
            [
                "systemctl restart vistafs; then vistafs repair, for running containers",
                "umount /srv/stat",
                "vistafs mount /m; then vistafs repair --mount /m, for running containers",
                "umount /var/lib/lxcfs",
            ]
        );
        assert!(dead.iter().all(|f| f.state == State::Broken), "{dead:?}");
        let silent = with(Answer::Silent);
        assert_eq!(silent.len(), 3);
        assert!(silent.iter().all(|f| f.found.contains("does not answer")));
    }
}
