//! Finding the cgroups of a container, one in each hierarchy.
//!
//! Three ways: the root of a cgroup namespace, the memberships of a process
//! (`/proc/PID/cgroup`), or one path for all hierarchies.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use rustix::thread::LinkNameSpaceType;
use vistafs_host::{HeldNamespace, HostError};
use vistafs_text::pid_cgroup::{self, Membership};

use crate::handle::reopen_in;
use crate::{Cgroup, Hierarchies, Hierarchy, Tasks, Version};

/// A container's cgroup in each hierarchy, in the order of [`Hierarchies::all`].
#[derive(Debug)]
pub struct Located {
    cgroups: Vec<Option<Arc<Cgroup>>>,
}

impl Located {
    /// The cgroup in the hierarchy that has a controller.
    #[must_use]
    pub fn of(&self, hierarchies: &Hierarchies, controller: &str) -> Option<&Arc<Cgroup>> {
        self.cgroups
            .get(hierarchies.index_of(controller)?)?
            .as_ref()
    }

    /// Identity of these cgroups: equal identities mean the same cgroups. 0 where there is none.
    #[must_use]
    pub fn identity(&self) -> Vec<u64> {
        let inode = |cgroup: &Option<Arc<Cgroup>>| cgroup.as_ref().map_or(0, |c| c.inode());
        self.cgroups.iter().map(inode).collect()
    }

    /// The cgroup in the hierarchy with that index in [`Hierarchies::all`].
    #[must_use]
    pub fn in_hierarchy(&self, index: usize) -> Option<&Arc<Cgroup>> {
        self.cgroups.get(index)?.as_ref()
    }

    /// The identity as bytes, equal in every process on this host. Cgroups at the root of their
    /// hierarchy are left out, as if that hierarchy was mounted later.
    #[must_use]
    pub fn mark(&self) -> Vec<u8> {
        let own = self.iter().filter(|cgroup| !cgroup.is_root());
        let mut own: Vec<_> = own.map(|c| (c.hierarchy().name(), c.inode())).collect();
        own.sort_unstable();
        own.iter().fold(Vec::new(), |mut mark, (name, inode)| {
            mark.extend_from_slice(name.as_bytes());
            mark.push(0);
            mark.extend_from_slice(&inode.to_le_bytes());
            mark
        })
    }

    /// All of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Cgroup>> {
        self.cgroups.iter().flatten()
    }

    /// The deepest cgroup, which identifies the container best.
    #[must_use]
    pub fn most_telling(&self) -> Option<&Arc<Cgroup>> {
        let depth = |cgroup: &&Arc<Cgroup>| (!cgroup.is_root(), cgroup.levels().len());
        // Among equals the first: the order of mounts decides.
        self.iter().rev().max_by_key(depth)
    }
}

impl Located {
    /// The container's tasks; `None` if no hierarchy distinguishes them from the host's.
    ///
    /// Usually the cgroup has the same path in all hierarchies. Otherwise the container shares a
    /// cgroup with others in some of them; then the cgroup with the fewest tasks is used.
    #[must_use]
    pub fn tasks(&self) -> Option<Tasks> {
        let mut own: Vec<&Arc<Cgroup>> = self.iter().filter(|c| !c.is_root()).collect();
        // v1 first, where the kernel may count for vistafs.
        own.sort_by_key(|cgroup| cgroup.version() == Version::V2);
        let first = own.first()?;
        if own.iter().all(|cgroup| cgroup.path() == first.path()) {
            return Some(Tasks::new(first));
        }
        own.into_iter()
            .map(|cgroup| Tasks::new(cgroup))
            .min_by_key(|tasks| tasks.count().unwrap_or(usize::MAX))
    }
}

impl Hierarchies {
    /// The cgroups of directories anywhere in the host's mounts, each with its hierarchy's name.
    ///
    /// # Errors
    /// `NotFound` when a cgroup has been removed, `Io`.
    pub fn locate_directories(
        &self,
        directories: impl IntoIterator<Item = (String, OwnedFd)>,
    ) -> Result<Located, HostError> {
        let mut cgroups = vec![None; self.all().len()];
        for (name, directory) in directories {
            let known = self.all().iter().zip(&mut cgroups);
            if let Some((hierarchy, slot)) = known.into_iter().find(|(h, _)| h.name() == name) {
                *slot = Some(Arc::new(Cgroup::from_directory(hierarchy, directory)?));
            }
        }
        Ok(Located { cgroups })
    }

    /// The roots of a cgroup namespace.
    ///
    /// A separate thread enters the namespace, mounts each hierarchy privately and ends, so that no
    /// other thread is ever in a foreign namespace.
    ///
    /// # Errors
    /// `Denied` without the capabilities, `NotFound` when a root has been removed, `Io`.
    pub fn locate_namespace(&self, namespace: &HeldNamespace) -> Result<Located, HostError> {
        std::thread::scope(|scope| {
            let work = || -> Result<Located, HostError> {
                rustix::thread::move_into_link_name_space(
                    namespace.as_fd(),
                    Some(LinkNameSpaceType::ControlGroup),
                )
                .map_err(|errno| HostError::from_errno(errno, Path::new("cgroup namespace")))?;
                let locate = |h: &Arc<Hierarchy>| Ok(Some(Arc::new(namespace_root(h)?)));
                let cgroups = self
                    .all()
                    .iter()
                    .map(locate)
                    .collect::<Result<_, HostError>>()?;
                Ok(Located { cgroups })
            };
            let thread = std::thread::Builder::new().name("cgroup-ns".into());
            match thread.spawn_scoped(scope, work).map(|t| t.join()) {
                Ok(Ok(located)) => located,
                Ok(Err(_panic)) => Err(failed(Errno::IO)),
                Err(source) => Err(HostError::Io {
                    path: "cgroup namespace".into(),
                    source,
                }),
            }
        })
    }

    /// The cgroups of a process by its `/proc/PID/cgroup` text, read in vistafs's own cgroup
    /// namespace, without a trailing `/init.scope` (where systemd puts itself in a container).
    ///
    /// # Errors
    /// `Malformed`, `NotFound` when one has been removed meanwhile, `Io`.
    pub fn locate_process(&self, text: &[u8]) -> Result<Located, HostError> {
        let mut cgroups: Vec<Option<Arc<Cgroup>>> = vec![None; self.all().len()];
        for membership in pid_cgroup::memberships(text) {
            let membership =
                membership.map_err(|e| HostError::malformed(Path::new("/proc/PID/cgroup"), e))?;
            let Some(index) = self.all().iter().position(|h| is_in(h, &membership)) else {
                continue;
            };
            let path = Path::new(OsStr::from_bytes(without_init_scope(membership.path)));
            cgroups[index] = Some(Arc::new(Cgroup::at_path(&self.all()[index], path)?));
        }
        Ok(Located { cgroups })
    }

    /// The cgroups of the same path in every hierarchy that has it.
    ///
    /// # Errors
    /// `NotFound` when no hierarchy has it; `Io`.
    pub fn locate_path(&self, path: &Path) -> Result<Located, HostError> {
        let mut cgroups = Vec::with_capacity(self.all().len());
        for hierarchy in self.all() {
            match Cgroup::at_path(hierarchy, path) {
                Ok(cgroup) => cgroups.push(Some(Arc::new(cgroup))),
                Err(error) if error.is_not_found() => cgroups.push(None),
                Err(error) => return Err(error),
            }
        }
        let located = Located { cgroups };
        if located.iter().next().is_none() {
            return Err(HostError::NotFound {
                path: path.to_owned(),
            });
        }
        Ok(located)
    }
}

/// The calling thread's cgroup namespace root in one hierarchy.
fn namespace_root(hierarchy: &Arc<Hierarchy>) -> Result<Cgroup, HostError> {
    let mounted = || -> Result<_, Errno> {
        let fs_type = match hierarchy.version() {
            Version::V1 => "cgroup",
            Version::V2 => "cgroup2",
        };
        let context = rustix::mount::fsopen(fs_type, FsOpenFlags::FSOPEN_CLOEXEC)?;
        for option in hierarchy.options() {
            match option.split_once('=') {
                Some((key, value)) => {
                    rustix::mount::fsconfig_set_string(context.as_fd(), key, value)?
                }
                None => rustix::mount::fsconfig_set_flag(context.as_fd(), option.as_str())?,
            }
        }
        rustix::mount::fsconfig_create(context.as_fd())?;
        let mount = rustix::mount::fsmount(
            context.as_fd(),
            FsMountFlags::FSMOUNT_CLOEXEC,
            MountAttrFlags::empty(),
        )?;
        reopen_in(hierarchy.mount(), mount)
    };
    let directory =
        mounted().map_err(|errno| HostError::from_errno(errno, hierarchy.root().path()))?;
    Cgroup::from_directory(hierarchy, directory)
}

pub(crate) fn is_in(hierarchy: &Hierarchy, membership: &Membership<'_>) -> bool {
    match hierarchy.version() {
        Version::V2 => membership.controllers.is_empty(),
        Version::V1 => hierarchy
            .name()
            .split(',')
            .any(|c| membership.has(c.as_bytes())),
    }
}

fn without_init_scope(path: &[u8]) -> &[u8] {
    match path.strip_suffix(b"/init.scope") {
        Some(b"") => b"/",
        Some(parent) => parent,
        None => path,
    }
}

fn failed(errno: Errno) -> HostError {
    HostError::from_errno(errno, Path::new("cgroup namespace"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_init_scope_at_the_end_is_left_out() {
        for (path, expected) in [
            ("/init.scope", "/"),
            ("/", "/"),
            ("/lxc/c1/init.scope", "/lxc/c1"),
            ("/lxc/init.scope/x", "/lxc/init.scope/x"),
            ("/lxc/myinit.scope", "/lxc/myinit.scope"),
        ] {
            assert_eq!(without_init_scope(path.as_bytes()), expected.as_bytes());
        }
    }
}
