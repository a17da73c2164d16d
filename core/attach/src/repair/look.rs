//! Finding what is dead in the mount namespace that the worker is in.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use vistafs_text::Device;
use vistafs_text::mountinfo::Mount;

use crate::connections::Connections;
use crate::error::Result;
use crate::live::Live;
use crate::table::{self, Table};
use crate::walk::{self, Lost};

/// Of each namespace: no container has more views bound, and its mounts cost descriptors, time and
/// lines of the report.
const MOST: usize = 256;

/// What is known of the namespace and of the host.
#[derive(Debug)]
pub(crate) struct Look<'l> {
    pub(super) live: &'l Live,
    pub(super) connections: &'l Connections,
    /// Devices that have not answered before.
    pub(super) silent: &'l [String],
    /// The root directory of the namespace.
    pub(super) root: &'l OwnedFd,
    /// It is the one that the live mount is in.
    pub(super) is_hosts_own: bool,
    /// It belongs to the user namespace of the host.
    pub(super) is_of_host_users: bool,
}

/// What is to be said of a mount.
#[derive(Debug)]
pub(crate) enum Found {
    /// It is dead and can be covered, with what is at this path in the live mount.
    Dead(OwnedFd, PathBuf),
    /// It is left alone, and why.
    Left(String),
}

impl Look<'_> {
    /// All that are dead, or cannot be told from dead ones. `is_dead` asks a file system.
    pub(super) fn all<'t>(
        &self,
        table: &'t Table<'t>,
        mut is_dead: impl FnMut(&OwnedFd, Device) -> Result<bool>,
    ) -> Result<Vec<(&'t Mount<'t>, Found)>> {
        let mut is_of_root = HashMap::new();
        let mut answers = HashMap::new();
        let mut all = Vec::new();
        for mount in table.candidates() {
            let device = mount.device;
            if self.is_no_bind(mount)
                || self.live.is_on(device)
                || self.live.is_page_cache() != table::is_page_cache(mount)
                || !*is_of_root
                    .entry(device)
                    .or_insert_with(|| self.connections.is_of_root(device))
            {
                continue;
            }
            let found = if self.silent.contains(&name(device)) {
                Found::Left("its file system does not answer".to_owned())
            } else {
                match walk::open_mount(self.root, table, mount) {
                    // Nobody sees it, so nobody misses it.
                    Err(Lost::Hidden) => continue,
                    Err(lost) => Found::Left(lost.to_string()),
                    Ok(open) => {
                        let is_dead = match answers.get(&device) {
                            Some(known) => *known,
                            None => is_dead(&open, device)?,
                        };
                        answers.insert(device, is_dead);
                        if !is_dead {
                            continue;
                        }
                        self.judge(mount, open)
                    }
                }
            };
            if all.len() == MOST {
                let why = format!("there are more than {MOST} (run it again)");
                all.push((mount, Found::Left(why)));
                break;
            }
            all.push((mount, found));
        }
        Ok(all)
    }

    /// A mount of another vistafs on the host: its own to mend. To look at it, it would have to be
    /// held for a moment, in which it could not be unmounted.
    fn is_no_bind(&self, mount: &Mount<'_>) -> bool {
        self.is_hosts_own && table::path_below(mount).as_os_str().is_empty()
    }

    fn judge(&self, mount: &Mount<'_>, open: OwnedFd) -> Found {
        let below = table::path_below(mount);
        let shared = table::shared_path(below);
        let names_one = match self.live.is_page_cache() {
            true => !below.as_os_str().is_empty(),
            false => shared.is_some() || below.starts_with("at"),
        };
        match shared {
            _ if !names_one || self.is_of_host_users => Found::Dead(open, below.to_owned()),
            // The shared file shows each caller its own, so it need not be trusted whose the path says it is.
            Some(shared) if !self.live.is_page_cache() => Found::Dead(open, shared.to_owned()),
            _ => Found::Left(
                "it names a container, in a namespace that is not of the host's root".to_owned(),
            ),
        }
    }
}

/// A device as mountinfo names it.
pub(crate) fn name(device: Device) -> String {
    format!("{}:{}", device.major, device.minor)
}
