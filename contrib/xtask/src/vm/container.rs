//! A root file system for containers in the guests: a second copy of the guest's Debian.
//!
//! /usr is shared with the guest by hard links, so it takes no space; a container writes only to its own
//! files. Unlike the guest it is complete: its systemd starts Debian's default units, including user
//! sessions.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run;

/// Its path in a guest.
pub(super) const PLACE: &str = "srv/container";

/// Created at each boot, and empty here.
const EMPTY: &[&str] = &["dev", "proc", "run", "sys", "tmp"];

/// Units that cannot work in any container, or that start containers themselves.
pub(super) const MASKED: &[&str] = &[
    "e2scrub_reap.service",
    "lxc.service",
    "lxc-monitord.service",
    "lxc-net.service",
];

/// An unprivileged user.
const USER: &str = "ann";
const USER_ID: u32 = 1000;

/// Lines to append, and files to create.
pub(super) const LINES: &[(&str, &str)] = &[
    ("etc/passwd", "ann:x:1000:1000::/home/ann:/bin/sh\n"),
    ("etc/group", "ann:x:1000:\n"),
    ("etc/shadow", "ann:*:19000:0:99999:7:::\n"),
];
pub(super) const FILES: &[(&str, &str)] = &[
    ("etc/hostname", "box\n"),
    ("etc/hosts", "127.0.0.1 localhost box\n"),
    ("etc/fstab", ""),
    ("etc/machine-id", "76697374616673000000000000000002\n"),
];

/// Creates it from the unmodified tree of a guest.
pub(super) fn furnish(tree: &Path) -> Result<()> {
    let place = tree.join(PLACE);
    fs::create_dir_all(&place)?;
    for entry in fs::read_dir(tree)? {
        let name = entry?.file_name();
        let (from, to) = (tree.join(&name), place.join(&name));
        if name == "srv" {
            continue;
        }
        if EMPTY.iter().any(|empty| name == *empty) {
            fs::create_dir(&to)?;
            fs::set_permissions(&to, fs::metadata(&from)?.permissions())?;
            continue;
        }
        let mut copy = Command::new("cp");
        copy.arg("-a");
        if name == "usr" {
            copy.arg("--link");
        }
        run::quiet(copy.arg(&from).arg(&to))?;
    }
    for (path, lines) in LINES {
        let path = place.join(path);
        let mut file = fs::File::options().append(true).open(&path)?;
        file.write_all(lines.as_bytes())
            .with_context(|| format!("appending to {}", path.display()))?;
    }
    for (path, text) in FILES {
        let path = place.join(path);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    let home = place.join("home").join(USER);
    fs::create_dir(&home)?;
    chown(&home, Some(USER_ID), Some(USER_ID))?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o750))?;
    for unit in MASKED {
        let link = place.join("etc/systemd/system").join(unit);
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link)?;
        }
        symlink("/dev/null", &link).with_context(|| format!("masking {unit}"))?;
    }
    Ok(())
}
