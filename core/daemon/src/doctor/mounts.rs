//! Mounts of vistafs and of lxcfs.

use std::path::Path;

use anyhow::Context as _;
use vistafs_text::mountinfo;

use super::Finding;

pub(super) fn examine(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let path = root.join("proc/self/mountinfo");
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut findings = Vec::new();
    for mount in mountinfo::mounts(&text).flatten() {
        // Its files that are bound elsewhere are part of the same mount.
        if &*mount.root != b"/" {
            continue;
        }
        let at = String::from_utf8_lossy(&mount.mount_point);
        match mount.fs_type {
            b"fuse.vistafs" => findings.push(Finding::good("mount", format!("vistafs at {at}"))),
            b"fuse.lxcfs" => findings.push(Finding::limited(
                "mount",
                format!("lxcfs is mounted at {at}: containers show what is bound into them"),
                "systemctl disable --now lxcfs, when no container uses it any more",
            )),
            _ => {}
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn whole_mounts_count() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tmp.path().join("proc/self")).unwrap();
        let text = "20 1 0:50 / /var/lib/lxcfs rw - fuse.lxcfs lxcfs rw\n\
                    21 1 0:50 /proc/stat /proc/stat rw - fuse.lxcfs lxcfs rw\n\
                    22 1 0:51 / /run/v\\040f rw - fuse.vistafs vistafs rw\n";
        std::fs::write(tmp.path().join("proc/self/mountinfo"), text).unwrap();
        let found = examine(tmp.path()).unwrap();
        let found: Vec<_> = found.iter().map(|f| (f.state, f.found.as_str())).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].0, State::Limited);
        assert!(found[0].1.contains("/var/lib/lxcfs:"), "{found:?}");
        assert_eq!(found[1], (State::Good, "vistafs at /run/v f"));
    }
}
