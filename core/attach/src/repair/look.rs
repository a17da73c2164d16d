//! Finds dead mounts in the worker's current mount namespace.

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

/// Limit for one namespace: no container has more views, and each mount costs a descriptor, time and
/// a line of the report.
const MOST: usize = 256;

/// The namespace and the host.
#[derive(Debug)]
pub(crate) struct Look<'l> {
    pub(super) live: &'l Live,
    pub(super) connections: &'l Connections,
    /// Devices of file systems that did not answer before.
    pub(super) silent: &'l [String],
    /// The root directory of the namespace.
    pub(super) root: &'l OwnedFd,
    /// Whether it is the namespace of the live mount.
    pub(super) is_hosts_own: bool,
    /// Whether it belongs to the user namespace of the host.
    pub(super) is_of_host_users: bool,
}

/// The result for one mount.
#[derive(Debug)]
pub(crate) enum Found {
    /// It is dead and can be covered with this path of the live mount.
    Dead(OwnedFd, PathBuf),
    /// It is left alone, for this reason.
    Left(String),
}

impl Look<'_> {
    /// Returns all mounts that are dead, or may be. `is_dead` accesses a file system.
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
                    // It is not visible, so nothing is missing.
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

    /// A mount of another vistafs on the host, which repairs it itself. Holding it for the check would
    /// keep it from being unmounted meanwhile.
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
            // The shared file shows each caller its own container, so the owner in the path need not be trusted.
            Some(shared) if !self.live.is_page_cache() => Found::Dead(open, shared.to_owned()),
            _ => Found::Left(
                "it names a container, in a namespace that is not of the host's root".to_owned(),
            ),
        }
    }
}

/// A device in the notation of mountinfo.
pub(crate) fn name(device: Device) -> String {
    format!("{}:{}", device.major, device.minor)
}
