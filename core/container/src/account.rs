//! Accounts the resources of one tenant: its pace, its queues and its cached bytes.
//!
//! A tenant is everything in one outermost pid namespace: a container with its nested containers,
//! sandboxes and namespaces. A process cannot leave that namespace, so a tenant has one account
//! only. A process in the host's pid namespace belongs to the account of the first [`LEVELS`]
//! levels of its cgroup path: a container's own cgroup is rarely deeper, and cgroups that it
//! creates below do not count.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use vistafs_host::{Host, HostError, NamespaceKey, NamespaceKind, Process};
use vistafs_text::pid_cgroup;

use crate::held::Held;
use crate::offload::{Offload, Queue};
use crate::pace::Pace;

/// Levels of a cgroup path that separate tenants: `/user.slice/user-1000.slice/user@1000.service`.
const LEVELS: usize = 3;

/// The identity of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tenant {
    /// The inode number of the outermost pid namespace below vistafs's own.
    PidNamespace(u64),
    /// In the host's pid namespace: a hash of the upper levels of the cgroup path.
    Cgroup(u64),
    /// A cgroup that was named by its path: a hash of the path.
    Named(u64),
}

impl Tenant {
    /// Returns the tenant of a process in the namespaces `key`. `own`: the namespaces of vistafs.
    ///
    /// The cost is bounded: a few links and one file are read, and the kernel allows 32 levels of
    /// pid namespaces.
    pub(crate) fn of(
        member: &Process,
        key: NamespaceKey,
        own: NamespaceKey,
    ) -> Result<Self, HostError> {
        if key.pid != own.pid {
            let namespace = member.hold_namespace(NamespaceKind::Pid)?;
            return Ok(Self::PidNamespace(namespace.outermost(own.pid)));
        }
        Ok(Self::Cgroup(of_cgroup_text(&member.cgroup_text()?)))
    }

    /// Returns the tenant of a cgroup that is named by its path.
    pub(crate) fn named(path: &std::path::Path) -> Self {
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        Self::Named(hasher.finish())
    }

    pub(crate) fn of_task(
        host: &Host,
        tid: u32,
        key: NamespaceKey,
        own: NamespaceKey,
    ) -> Result<Self, HostError> {
        Self::of(&Process::open(host, tid)?, key, own)
    }
}

/// Hashes the upper levels of the deepest cgroup; in some hierarchies it may be the root.
fn of_cgroup_text(text: &[u8]) -> u64 {
    let paths = pid_cgroup::memberships(text).filter_map(|one| Some(one.ok()?.path));
    let upper = |path| {
        let levels = split(path);
        levels.take(LEVELS).collect::<Vec<_>>()
    };
    let telling = paths.map(upper).max_by_key(Vec::len).unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    telling.hash(&mut hasher);
    hasher.finish()
}

fn split(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let levels = path.split(|byte| *byte == b'/');
    levels.filter(|level| !level.is_empty())
}

impl Tenant {
    /// Returns a short ID, the same in every worker; never 0. If two tenants share one, the second
    /// loses a view at worst.
    pub(crate) fn tag(&self) -> u32 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        let low = hasher.finish() & u64::from(u32::MAX);
        u32::try_from(low).unwrap_or(1).max(1)
    }
}

/// The account of one tenant, or of all callers on the host.
#[derive(Debug)]
pub struct Account {
    tag: u32,
    /// Its use of the serving threads.
    pub pace: Pace,
    /// Requests that cost time.
    pub work: Arc<Queue>,
    /// Requests of views that wait for something other than the kernel. Separate from `work`, so
    /// that a command does not wait for a walk of many processes, nor a walk for a slow command.
    pub waits: Arc<Queue>,
    /// Bytes that its open files cache.
    pub held: Arc<Held>,
    /// Requests that wait for discovery while the kernel holds a lock.
    locked: AtomicUsize,
    // The outermost cgroup of its containers.
    cgroup: Mutex<Option<PathBuf>>,
}

impl Account {
    pub(crate) fn new(pool: &Arc<Offload>, pace: Pace, tag: u32) -> Arc<Self> {
        Arc::new(Self {
            tag,
            pace,
            work: Queue::new(pool),
            waits: Queue::new(pool),
            held: Held::new(pool.totals()),
            locked: AtomicUsize::new(0),
            cgroup: Mutex::default(),
        })
    }

    /// Records the cgroup of one of its containers. Only an ancestor replaces the first: a tenant
    /// that creates cgroups must not appear in the metrics under ever new names.
    pub(crate) fn found_in(&self, cgroup: &Path) {
        let mut known = self.cgroup.lock();
        let is_outer = |known: &PathBuf| known.starts_with(cgroup) && known != cgroup;
        if known.as_ref().is_none_or(is_outer) {
            *known = Some(cgroup.to_owned());
        }
    }

    /// Returns the outermost cgroup of its containers. `None`: no container was found yet.
    #[must_use]
    pub fn cgroup(&self) -> Option<PathBuf> {
        self.cgroup.lock().clone()
    }

    /// Returns the short ID of the tenant, the same in every worker; 0: callers on the host.
    #[must_use]
    pub fn tag(&self) -> u32 {
        self.tag
    }

    /// Admits one more request that waits while the kernel holds a lock of a directory that other
    /// containers use. `None`: the limit is reached.
    #[must_use]
    pub fn admit_with_lock(self: &Arc<Self>) -> Option<WaitsWithLock> {
        let most = crate::budgets::WAITING_WITH_A_LOCK;
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        let within = |waiting: usize| (waiting < most).then_some(waiting + 1);
        self.locked.fetch_update(set, fetch, within).ok()?;
        Some(WaitsWithLock(Arc::clone(self)))
    }
}

/// A request that waits while the kernel holds a lock, counted until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct WaitsWithLock(Arc<Account>);

impl Drop for WaitsWithLock {
    fn drop(&mut self) {
        self.0.locked.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroups_that_a_container_makes_are_the_container_s() {
        let of = |text: &str| of_cgroup_text(text.as_bytes());
        let user = "/user.slice/user-1000.slice/user@1000.service";
        let below = |name: &str| of(&format!("0::{user}/app.slice/{name}\n"));
        assert_eq!(below("a"), below("b"));
        assert_eq!(below("a"), of(&format!("0::{user}\n")));
        assert_ne!(of("0::/docker/a\n"), of("0::/docker/b\n"));
        // In any hierarchy where the container has its own cgroup.
        let hybrid = "12:pids:/docker/a\n5:cpu,cpuacct:/\n0::/\n";
        assert_eq!(of(hybrid), of("12:pids:/docker/a\n"));
        assert_eq!(of(""), of("0::/\n"));
    }

    #[test]
    fn only_an_ancestor_renames_a_tenant() {
        let account = Account::new(&Arc::default(), Pace::default(), 0);
        assert_eq!(account.cgroup(), None);
        for (found, name) in [
            ("/a/b/c", "/a/b/c"),
            ("/a/b/d", "/a/b/c"),
            ("/a/b", "/a/b"),
            ("/a/b/e", "/a/b"),
            ("/x", "/a/b"),
        ] {
            account.found_in(Path::new(found));
            assert_eq!(
                account.cgroup().as_deref(),
                Some(Path::new(name)),
                "{found}"
            );
        }
    }

    #[test]
    fn few_requests_wait_while_the_kernel_holds_a_lock() {
        let account = Account::new(&Arc::default(), Pace::default(), 0);
        let most = crate::budgets::WAITING_WITH_A_LOCK;
        let mut waiting: Vec<_> = (0..most).map_while(|_| account.admit_with_lock()).collect();
        assert_eq!(waiting.len(), most);
        assert!(account.admit_with_lock().is_none());
        waiting.pop();
        assert!(account.admit_with_lock().is_some());
    }
}
