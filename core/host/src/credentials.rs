//! The caller's credentials, and acting with no more than these.
//!
//! The kernel decides whether a caller may change a node of a kernel file system. So the serving
//! thread assumes the caller's ids and groups for one operation, and of vistafs's capabilities only
//! those that the caller has over that node:
//!
//! - in vistafs's own user namespace, the caller's effective ones;
//! - in another one, those over files, and only where owner and group of the node are mapped there:
//!   the kernel's rule capable_wrt_inode_uidgid(), user_namespaces(7).
//!
//! Credentials belong to a thread, and a descriptor keeps those of its opener: other requests are
//! unaffected, and later writes are checked against the opener.
//! request notices, and what is written later is judged by who has opened.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Gid, Uid, getegid, geteuid, getgroups};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};
use vistafs_text::IdMap;

use crate::{Host, HostError, NamespaceKind, Process, nsfs};

/// Owner of a node, in vistafs's user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User number.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
}

/// The capabilities over files that a user namespace grants.
const OVER_FILES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID);

/// Ids, groups and capabilities of a caller.
#[derive(Debug, Clone)]
pub struct Credentials {
    uid: u32,
    gid: u32,
    groups: Vec<Gid>,
    capabilities: CapabilitySet,
    // `None`: it is vistafs's own.
    namespace: Option<UserNamespace>,
}

/// A user namespace that is not vistafs's.
#[derive(Debug, Clone)]
struct UserNamespace {
    inode: u64,
    uids: IdMap,
    gids: IdMap,
}

impl Credentials {
    /// Reads the credentials of the thread `tid`; its request has the ids `ids`.
    ///
    /// # Errors
    /// `NotFound` when it has ended; `Malformed`.
    pub fn of_thread(host: &Host, tid: u32, ids: Owner) -> Result<Self, HostError> {
        let process = Process::open(host, tid)?;
        let (groups, capabilities) = process.groups_and_capabilities()?;
        let inode = process.user_namespace()?;
        let namespace = if inode == Process::open(host, std::process::id())?.user_namespace()? {
            None
        } else {
            let (uids, gids) = process.id_maps()?;
            Some(UserNamespace { inode, uids, gids })
        };
        Ok(Self {
            uid: ids.uid,
            gid: ids.gid,
            groups: groups.into_iter().map(Gid::from_raw).collect(),
            capabilities,
            namespace,
        })
    }

    /// Whether both ids of a node are mapped in the caller's user namespace.
    #[must_use]
    pub fn has_id(&self, owner: Owner) -> bool {
        match &self.namespace {
            None => true,
            Some(own) => own.uids.has(owner.uid) && own.gids.has(owner.gid),
        }
    }

    /// Whether a process is in the caller's user namespace or a descendant of it, so that the
    /// caller's capabilities apply to it.
    ///
    /// # Errors
    /// `NotFound` when it has ended.
    pub fn govern(&self, process: &Process) -> Result<bool, HostError> {
        let Some(own) = &self.namespace else {
            return Ok(true);
        };
        let mut here: OwnedFd = process.hold_namespace(NamespaceKind::User)?.into();
        // User namespaces are nested at most 32 deep.
        for _ in 0..=32 {
            let stat = rustix::fs::fstat(&here)
                .map_err(|errno| HostError::from_errno(errno, Path::new("user namespace")))?;
            if stat.st_ino == own.inode {
                return Ok(true);
            }
            match nsfs::parent(&here) {
                Ok(parent) => here = parent,
                // Namespaces further up are not below vistafs's own.
                Err(_) => break,
            }
        }
        Ok(false)
    }

    /// Calls `work` with these credentials over a node of `owner`.
    ///
    /// # Errors
    /// When the thread cannot assume them: vistafs lacks CAP_SETUID or CAP_SETGID.
    pub fn act_on<T>(&self, owner: Owner, work: impl FnOnce() -> T) -> Result<T, Errno> {
        self.act_on_with(owner, CapabilitySet::empty(), work)
    }

    /// As [`act_on`](Self::act_on), plus the caller's capabilities in `also`, which apply to
    /// another object that is touched.
    ///
    /// # Errors
    /// As [`act_on`](Self::act_on).
    pub fn act_on_with<T>(
        &self,
        owner: Owner,
        also: CapabilitySet,
        work: impl FnOnce() -> T,
    ) -> Result<T, Errno> {
        let over = self.over(owner) | self.capabilities & also;
        let _assumed = Assumed::new(self, over)?;
        Ok(work())
    }

    /// The capabilities that the caller has over a node of `owner`.
    fn over(&self, owner: Owner) -> CapabilitySet {
        match self.namespace {
            None => self.capabilities,
            Some(_) if self.has_id(owner) => self.capabilities & OVER_FILES,
            Some(_) => CapabilitySet::empty(),
        }
    }
}

/// The calling thread's own credentials, restored on drop, also after a panic.
struct Assumed {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
    capabilities: CapabilitySets,
}

impl Assumed {
    fn new(wanted: &Credentials, over: CapabilitySet) -> Result<Self, Errno> {
        let (groups, capabilities) = (getgroups()?, capabilities(None)?);
        let effective = CapabilitySets {
            effective: capabilities.permitted & over,
            ..capabilities
        };
        set_thread_groups(&wanted.groups)?;
        // From here on, drop restores them.
        let before = Self {
            uid: geteuid(),
            gid: getegid(),
            groups,
            capabilities,
        };
        set_thread_res_gid(None, Gid::from_raw(wanted.gid), None)?;
        // The saved id stays root's, and so the permitted capabilities stay.
        set_thread_res_uid(None, Uid::from_raw(wanted.uid), None)?;
        set_capabilities(None, effective)?;
        Ok(before)
    }

    fn restore(&self) -> Result<(), Errno> {
        let all = CapabilitySets {
            effective: self.capabilities.permitted,
            ..self.capabilities
        };
        set_capabilities(None, all)?;
        set_thread_res_uid(None, self.uid, None)?;
        set_thread_res_gid(None, self.gid, None)?;
        set_thread_groups(&self.groups)?;
        set_capabilities(None, self.capabilities)
    }
}

impl Drop for Assumed {
    fn drop(&mut self) {
        if let Err(errno) = self.restore() {
            // Continuing would serve other callers with this caller's credentials.
            log::error!("a thread cannot get its own credentials back: {errno}");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(uid: u32, capabilities: CapabilitySet, maps: Option<&[u8]>) -> Credentials {
        let map = |text| IdMap::parse(text).unwrap();
        Credentials {
            uid,
            gid: uid,
            groups: vec![Gid::from_raw(7)],
            capabilities,
            namespace: maps.map(|text| UserNamespace {
                inode: 0,
                uids: map(text),
                gids: map(text),
            }),
        }
    }

    fn owner(id: u32) -> Owner {
        Owner { uid: id, gid: id }
    }

    #[test]
    fn a_user_namespace_gives_power_over_its_own_files_alone() {
        let all = CapabilitySet::all();
        let inside = caller(100_000, all, Some(b"0 100000 10\n"));
        assert_eq!(inside.over(owner(100_005)), OVER_FILES);
        assert_eq!(inside.over(owner(0)), CapabilitySet::empty());
        let mixed = Owner {
            uid: 100_000,
            gid: 0,
        };
        assert_eq!(inside.over(mixed), CapabilitySet::empty());
        let none = caller(100_000, CapabilitySet::empty(), Some(b"0 100000 10\n"));
        assert_eq!(none.over(owner(100_005)), CapabilitySet::empty());
        assert_eq!(caller(5, all, None).over(owner(0)), all);
    }

    #[test]
    fn a_thread_gets_its_own_credentials_back() {
        let now = || (geteuid(), getegid(), getgroups().unwrap());
        let before = (now(), capabilities(None).unwrap());
        let stranger = caller(12_345, CapabilitySet::all(), Some(b"0 12345 1\n"));
        let act = || stranger.act_on(owner(0), || (now(), capabilities(None).unwrap().effective));
        // Without the right to change ids the call fails, and nothing has changed.
        if let Ok((ids, effective)) = act() {
            let id = |n| (Uid::from_raw(n), Gid::from_raw(n));
            assert_eq!((ids.0, ids.1), id(12_345));
            assert_eq!(ids.2, [Gid::from_raw(7)]);
            assert_eq!(effective, CapabilitySet::empty());
        }
        assert_eq!((now(), capabilities(None).unwrap()), before);
        let _ = std::panic::catch_unwind(|| stranger.act_on(owner(0), || panic!("on purpose")));
        assert_eq!((now(), capabilities(None).unwrap()), before);
    }

    #[test]
    fn the_kernel_judges_by_what_was_taken_on() {
        if !geteuid().is_root() {
            return;
        }
        let tmp = tempfile::tempdir().unwrap();
        let secret = tmp.path().join("secret");
        std::fs::write(&secret, "s").unwrap();
        std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        std::fs::set_permissions(
            tmp.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let read = |who: &Credentials, over| {
            who.act_on(owner(over), || std::fs::read(&secret).is_ok())
                .unwrap()
        };
        assert!(read(&caller(0, CapabilitySet::empty(), None), 0));
        assert!(!read(&caller(12_345, CapabilitySet::empty(), None), 0));
        assert!(read(&caller(12_345, CapabilitySet::DAC_OVERRIDE, None), 0));
        let inside = caller(12_345, CapabilitySet::all(), Some(b"0 12345 1\n"));
        assert!(!read(&inside, 0));
    }
}
