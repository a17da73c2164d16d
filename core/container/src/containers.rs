//! Resolves callers to containers, and caches the containers.
//!
//! # Synchronization
//! The tables are locked for a look-up, an insertion or a removal only, never across a system call.
//! Two callers of a new container may both resolve it; the first result is kept.

use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use vistafs_cgroup::{Hierarchies, Located};
use vistafs_handover::Handover;
use vistafs_host::{HeldNamespace, Host, HostError, NamespaceKey, NamespaceKind, Process};
use vistafs_tables::RcuMap;
use vistafs_text::time_offsets::Offset;

use crate::account::{Account, Tenant};
use crate::budgets;
use crate::callers::Callers;
use crate::eldest::{eldest, outermost_start};
use crate::kept::{Keeper, Origin};
use crate::lifetime::{Lifetimes, Watch};
use crate::offload::{Offload, Queue};
use crate::pace::Pace;
use crate::{Container, ContainerError};

/// How long a pid namespace's init is assumed to stay in its cgroup.
const MOVES_SEEN_AFTER: Duration = Duration::from_secs(1);

/// The origin of a request.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A process that is in no container.
    Host,
    /// A process of this container.
    Inside(Arc<Container>),
}

/// The result of an identification that waits for nothing a container can prolong.
#[derive(Debug, Clone)]
pub enum Identity {
    /// [`Containers::caller`] would return this at once.
    Found(Caller),
    /// The container has to be resolved, or its init located again. The tenant controls that cost,
    /// so it runs in the tenant's queue.
    Unknown(Arc<Account>),
}

#[derive(Debug)]
struct Known {
    container: Arc<Container>,
    tenant: Tenant,
    // The process whose end is the end of the container.
    watch: Mutex<Option<Watch>>,
    // Otherwise its eldest process is watched.
    has_own_init: bool,
    // Keep the kernel from reusing the inode numbers of the key.
    _held: [HeldNamespace; 2],
    follows: Option<FollowedInit>,
}

/// A container without its own cgroup namespace is in the cgroup of its init.
#[derive(Debug)]
struct FollowedInit {
    init: Arc<Process>,
    seen: Mutex<(Instant, Vec<u8>)>,
}

/// The account and the cached keys of a tenant.
#[derive(Debug, Default)]
struct OfTenant {
    account: Weak<Account>,
    // Its keys in `known`, oldest first.
    keys: VecDeque<NamespaceKey>,
}

/// A cache of all live containers that have issued requests.
#[derive(Debug)]
pub struct Containers {
    host: Arc<Host>,
    hierarchies: Arc<Hierarchies>,
    own: NamespaceKey,
    callers: Callers,
    known: RcuMap<NamespaceKey, Arc<Known>, 256>,
    by_path: RwLock<HashMap<PathBuf, Arc<Container>>>,
    // Of cgroup namespaces: one may contain callers of several pid namespaces.
    by_cgroups: RwLock<HashMap<Vec<u64>, Weak<Container>>>,
    tenants: Mutex<HashMap<Tenant, OfTenant>>,
    host_account: Arc<Account>,
    offload: Arc<Offload>,
    lifetimes: Lifetimes,
    handover: Option<Arc<Handover>>,
    // A further cache that is trimmed with this one.
    spare: OnceLock<Arc<dyn Settle>>,
}

/// A cache of unused memory for future containers.
pub trait Settle: Debug + Send + Sync {
    /// Releases all of it. Called some time after the last container has ended.
    fn settle(&self);
}

impl Containers {
    /// Creates an empty cache.
    ///
    /// # Errors
    /// If vistafs's own namespaces cannot be read.
    pub fn new(host: Arc<Host>, hierarchies: Arc<Hierarchies>) -> Result<Arc<Self>, HostError> {
        Self::with_handover(host, hierarchies, None)
    }

    /// Like [`new`](Self::new), with memory shared with a successor process.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_handover(
        host: Arc<Host>,
        hierarchies: Arc<Hierarchies>,
        handover: Option<Arc<Handover>>,
    ) -> Result<Arc<Self>, HostError> {
        let own = NamespaceKey::of_self(&host)?;
        let watched = Lifetimes::new_set()?;
        let offload = Arc::<Offload>::default();
        Ok(Arc::new_cyclic(|containers| Self {
            host,
            hierarchies,
            own,
            callers: Callers::default(),
            known: RcuMap::default(),
            by_path: RwLock::default(),
            by_cgroups: RwLock::default(),
            tenants: Mutex::default(),
            host_account: Account::new(&offload, Pace::default(), 0),
            offload,
            lifetimes: Lifetimes::new(containers.clone(), watched),
            handover,
            spare: OnceLock::new(),
        }))
    }

    /// Registers a hook that runs when memory is trimmed. Only the first call has an effect.
    pub fn settle_as_well(&self, spare: Arc<dyn Settle>) {
        let _ = self.spare.set(spare);
    }

    /// Returns the host.
    #[must_use]
    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Returns the host's hierarchies.
    #[must_use]
    pub fn hierarchies(&self) -> &Arc<Hierarchies> {
        &self.hierarchies
    }

    /// Returns the memory shared with a successor process, if any.
    #[must_use]
    pub fn handover(&self) -> Option<&Arc<Handover>> {
        self.handover.as_ref()
    }

    /// Returns the number of cached pairs of namespaces.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Returns whether the cache is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the account of callers on the host.
    #[must_use]
    pub fn host_account(&self) -> &Arc<Account> {
        &self.host_account
    }

    /// Returns the pool of offload threads.
    #[must_use]
    pub fn offload(&self) -> &Arc<Offload> {
        &self.offload
    }

    /// Returns the accounts of all live tenants with their numbers of cached pairs of namespaces.
    pub(crate) fn accounts(&self) -> Vec<(Arc<Account>, usize)> {
        let tenants = self.tenants.lock();
        let account = |of: &OfTenant| Some((of.account.upgrade()?, of.keys.len()));
        tenants.values().filter_map(account).collect()
    }

    /// Returns the queues in which a request waits or is in service.
    #[must_use]
    pub fn active_queues(&self) -> Vec<Arc<Queue>> {
        let mut queues = Vec::new();
        let accounts = self.accounts().into_iter().map(|(account, _)| account);
        for account in accounts.chain([Arc::clone(&self.host_account)]) {
            let both = [&account.work, &account.waits];
            queues.extend(both.into_iter().filter(|queue| queue.is_active()).cloned());
        }
        queues
    }

    /// Returns the account of a cgroup that is named by its path.
    #[must_use]
    pub fn account_of_path(&self, path: &Path) -> Arc<Account> {
        let account = self.account_of(Tenant::named(path));
        account.found_in(path);
        account
    }

    /// Returns whether the thread `tid` is in no container. No container can raise the cost.
    #[must_use]
    pub fn is_on_host(&self, tid: u32) -> bool {
        self.namespaces(tid).is_ok_and(|key| key == self.own)
    }

    /// Identifies the thread `tid` as far as it is cached. No container can raise the cost, so a
    /// serving thread may call this.
    ///
    /// # Errors
    /// [`ContainerError`], as for [`caller`](Self::caller).
    pub fn identify(&self, tid: u32) -> Result<Identity, ContainerError> {
        let key = self.namespaces(tid)?;
        if key == self.own {
            return Ok(Identity::Found(Caller::Host));
        }
        match self.known.get(&key) {
            Some(known) if known.is_due() => {
                Ok(Identity::Unknown(Arc::clone(known.container.account())))
            }
            Some(known) => {
                let container = Arc::clone(&known.container);
                Ok(Identity::Found(Caller::Inside(container)))
            }
            None => {
                let tenant = Tenant::of_task(&self.host, tid, key, self.own).map_err(gone)?;
                Ok(Identity::Unknown(self.account_of(tenant)))
            }
        }
    }

    fn namespaces(&self, tid: u32) -> Result<NamespaceKey, ContainerError> {
        if tid == 0 {
            return Err(ContainerError::Invisible);
        }
        let key = self.callers.namespaces(&self.host, tid, self.own);
        key.map_err(gone)
    }

    /// Returns the account of a tenant, creating it if necessary.
    fn account_of(&self, tenant: Tenant) -> Arc<Account> {
        let mut tenants = self.tenants.lock();
        let of_tenant = tenants.entry(tenant).or_default();
        if let Some(account) = of_tenant.account.upgrade() {
            return account;
        }
        let account = Account::new(&self.offload, Pace::unknown(), tenant.tag());
        of_tenant.account = Arc::downgrade(&account);
        account
    }

    /// Records that a pair of namespaces is cached for a tenant; returns the pairs to evict.
    fn hold_for(&self, tenant: Tenant, key: NamespaceKey) -> Vec<NamespaceKey> {
        let are_many = self.known.len() > budgets::NAMESPACES_OF_ALL;
        let most = if are_many { 1 } else { budgets::NAMESPACES };
        let mut tenants = self.tenants.lock();
        let keys = &mut tenants.entry(tenant).or_default().keys;
        keys.push_back(key);
        let too_many = keys.len().saturating_sub(most);
        keys.drain(..too_many).collect()
    }

    /// Resolves the thread `tid` (in vistafs's own pid namespace). The tenant can raise the cost: a
    /// serving thread calls [`identify`](Self::identify) first.
    ///
    /// # Errors
    /// [`ContainerError`]; never a guess.
    pub fn caller(&self, tid: u32) -> Result<Caller, ContainerError> {
        let key = self.namespaces(tid)?;
        if key == self.own {
            return Ok(Caller::Host);
        }
        let known = self.known.get(&key);
        let container = match known {
            Some(known) => self.follow(key, &known)?,
            None => self.find_out(key, tid)?,
        };
        Ok(Caller::Inside(container))
    }

    /// Returns the container of a cgroup path, the same in every hierarchy.
    ///
    /// # Errors
    /// `NotFound` if no hierarchy has it.
    pub fn at_path(&self, path: &Path) -> Result<Arc<Container>, ContainerError> {
        let known = self.by_path.read().get(path).cloned();
        if let Some(container) = known.filter(|container| container.is_alive()) {
            return Ok(container);
        }
        let located = self.hierarchies.locate_path(path)?;
        let eldest = eldest(&self.host, &located, None);
        let Some((_, start)) = eldest else {
            // Its start is unknown. It must not even be this request's time: the next request would
            // make it younger, and its counters would decrease.
            let begins = Container::NOT_YET;
            let container = Container::new(&self.hierarchies, located, begins, Offset::default());
            return Ok(Arc::new(container.with_account(self.account_of_path(path))));
        };
        let keeper = Keeper::new(self.handover(), Origin::Path, &located.mark());
        let start = first_start(&keeper, start);
        let container = Container::new(&self.hierarchies, located, start, Offset::default());
        let container = container
            .kept_by(keeper)
            .with_account(self.account_of_path(path));
        let container = Arc::new(container);
        self.forget_gone_paths();
        let mut by_path = self.by_path.write();
        // Another thread may have inserted it. Two containers with separate counters would show
        // different values.
        let known = by_path.entry(path.to_owned());
        Ok(Arc::clone(known.or_insert(container)))
    }

    /// Removes containers by path whose cgroups are gone: no process is watched for them.
    fn forget_gone_paths(&self) {
        let kept: Vec<_> = self
            .by_path
            .read()
            .iter()
            .map(|(p, c)| (p.clone(), Arc::clone(c)))
            .collect();
        for (path, gone) in kept.iter().filter(|(_, kept)| !kept.is_alive()) {
            let mut by_path = self.by_path.write();
            // Another container may be at that path by now.
            if by_path.get(path).is_some_and(|now| Arc::ptr_eq(now, gone)) {
                by_path.remove(path);
                drop(by_path);
                gone.keeper().give_up();
            }
        }
    }

    pub(crate) fn lifetimes(&self) -> &Lifetimes {
        &self.lifetimes
    }

    /// Handles the end of the process by which a container was watched.
    pub(crate) fn ended(&self, key: &NamespaceKey) {
        let Some(known) = self.known.get(key) else {
            return;
        };
        known.watch.lock().take();
        // The next eldest process may end during the search.
        while !known.has_own_init
            && let Some((next, _)) = eldest(&self.host, known.container.cgroups(), Some(*key))
        {
            let watched = next
                .pidfd()
                .and_then(|pidfd| self.lifetimes.watch(*key, pidfd));
            match watched {
                Ok(watch) => {
                    *known.watch.lock() = Some(watch);
                    return;
                }
                Err(error) if error.is_not_found() => {}
                Err(_) => break,
            }
        }
        self.forget(key, &known);
        log::debug!("container {} has ended", known.container.path().display());
    }

    /// Evicts a pair of namespaces, and its container with the last pair.
    fn forget(&self, key: &NamespaceKey, known: &Arc<Known>) {
        self.callers.forget(key);
        self.known.remove(key);
        let watch = known.watch.lock().take();
        watch
            .into_iter()
            .for_each(|watch| self.lifetimes.unwatch(watch));
        if let Some(of_tenant) = self.tenants.lock().get_mut(&known.tenant) {
            of_tenant.keys.retain(|other| other != key);
        }
        let is_same = |other: &Arc<Known>| Arc::ptr_eq(&other.container, &known.container);
        if !self.known.any(|_, other| is_same(other)) {
            known.container.keeper().give_up();
            // A `Weak` keeps the allocation.
            let identity = known.container.cgroups().identity();
            let mut by_cgroups = self.by_cgroups.write();
            let kept = by_cgroups.get(&identity).map(Weak::as_ptr);
            if kept == Some(Arc::as_ptr(&known.container)) {
                by_cgroups.remove(&identity);
            }
        }
    }

    /// Removes ended callers and unused entries, and rebuilds tables that were larger before: they
    /// would keep almost empty pages.
    pub(crate) fn settle(&self) {
        self.callers.let_go_of_ended();
        self.forget_gone_paths();
        self.spare
            .get()
            .into_iter()
            .for_each(|spare| spare.settle());
        self.host.let_go_of_texts();
        self.known.make_anew();
        self.lifetimes.make_anew();
        let is_used = |_: &Tenant, of: &mut OfTenant| of.account.strong_count() > 0;
        self.tenants.lock().retain(is_used);
        let mut by_cgroups = self.by_cgroups.write();
        let all = std::mem::take(&mut *by_cgroups);
        by_cgroups.extend(all);
    }

    fn find_out(&self, key: NamespaceKey, tid: u32) -> Result<Arc<Container>, ContainerError> {
        let member = Process::open(&self.host, tid)?;
        // The thread ID may have been reused; the held directory shows it.
        if member.namespaces()? != key {
            return Err(ContainerError::CallerGone);
        }
        let tenant = Tenant::of(&member, key, self.own)?;
        let account = self.account_of(tenant);
        let pid_namespace = member.hold_namespace(NamespaceKind::Pid)?;
        let cgroup_namespace = member.hold_namespace(NamespaceKind::Cgroup)?;
        let init = if key.pid == self.own.pid {
            None
        } else {
            Some(pid_namespace.init_process(&self.host, &member)?)
        };
        // The init of a pod's shared pid namespace belongs to the pod, not to this container. An
        // init whose main thread has ended has no readable namespaces.
        let own_init = init.as_ref().filter(|init| {
            init.namespaces()
                .is_ok_and(|namespaces| namespaces.cgroup == key.cgroup)
        });
        let (located, followed) = if key.cgroup != self.own.cgroup {
            (self.hierarchies.locate_namespace(&cgroup_namespace)?, None)
        } else {
            let init = init.as_ref().ok_or(ContainerError::CallerGone)?;
            let text = init.cgroup_text()?;
            (self.hierarchies.locate_process(&text)?, Some(text))
        };
        let stand_in = match own_init {
            Some(_) => None,
            None => eldest(&self.host, &located, Some(key)).map(|(process, _)| process),
        };
        // No process inside: the entry lives as long as the caller, which looks in from outside.
        let leader = member.leader(&self.host)?;
        let watched = own_init.or(stand_in.as_ref()).unwrap_or(&leader);
        let pidfd = watched.pidfd();
        let has_own_init = own_init.is_some();
        let container = match &followed {
            // If the cgroup namespace decides, all pid namespaces in it are one container.
            None => self.of_cgroups(key, located, watched, &account)?,
            Some(_) => {
                let (start, offset) = (watched.start(&self.host)?, watched.boottime_offset()?);
                let init = init.as_ref().ok_or(ContainerError::CallerGone)?;
                let origin = Origin::Init(key.pid, init.start(&self.host)?.as_nanos());
                let keeper = Keeper::new(self.handover(), origin, &[]);
                let start = first_start(&keeper, start);
                let container = Container::new(&self.hierarchies, located, start, offset);
                Arc::new(container.kept_by(keeper).with_account(account))
            }
        };
        let follows = followed.and_then(|text| {
            Some(FollowedInit {
                init: init?.into(),
                seen: Mutex::new((Instant::now(), text)),
            })
        });
        let fresh = Arc::new(Known {
            container,
            tenant,
            watch: Mutex::default(),
            has_own_init,
            _held: [pid_namespace, cgroup_namespace],
            follows,
        });
        let kept = self.known.get_or_insert_with(key, || Arc::clone(&fresh));
        if Arc::ptr_eq(&kept, &fresh) {
            let path = kept.container.path();
            log::debug!("container {} has asked", path.display());
            kept.container.account().found_in(&path);
            // An entry that cannot be watched must not stay: it is resolved again next time.
            match pidfd.and_then(|pidfd| self.lifetimes.watch(key, pidfd)) {
                Ok(watch) => {
                    *kept.watch.lock() = Some(watch);
                    for oldest in self.hold_for(tenant, key) {
                        if let Some(known) = self.known.get(&oldest) {
                            self.forget(&oldest, &known);
                        }
                    }
                }
                Err(error) => {
                    log::debug!("cannot watch it: {error}");
                    self.known.remove(&key);
                }
            }
        }
        Ok(Arc::clone(&kept.container))
    }

    /// Returns the container at these roots of a cgroup namespace; `first` is a process in it.
    fn of_cgroups(
        &self,
        key: NamespaceKey,
        located: Located,
        first: &Process,
        account: &Arc<Account>,
    ) -> Result<Arc<Container>, HostError> {
        let identity = located.identity();
        if let Some(known) = self
            .by_cgroups
            .read()
            .get(&identity)
            .and_then(Weak::upgrade)
        {
            return Ok(known);
        }
        let is_the_host_s = located.most_telling().is_none_or(|cgroup| cgroup.is_root());
        let start = if is_the_host_s {
            // It is indistinguishable from the host, which started at boot.
            Duration::ZERO
        } else {
            outermost_start(&self.host, key, first)?
        };
        let keeper = Keeper::new(self.handover(), Origin::Namespace, &located.mark());
        let start = first_start(&keeper, start);
        let container = Container::new(&self.hierarchies, located, start, first.boottime_offset()?);
        let container = container.kept_by(keeper).with_account(Arc::clone(account));
        let container = Arc::new(container);
        let mut by_cgroups = self.by_cgroups.write();
        by_cgroups.retain(|_, kept| kept.strong_count() > 0);
        if let Some(known) = by_cgroups.get(&identity).and_then(Weak::upgrade) {
            return Ok(known);
        }
        by_cgroups.insert(identity, Arc::downgrade(&container));
        Ok(container)
    }

    /// Returns a cached container; if its init has moved, the same container in the new cgroup.
    fn follow(
        &self,
        key: NamespaceKey,
        known: &Arc<Known>,
    ) -> Result<Arc<Container>, ContainerError> {
        let Some(followed) = &known.follows else {
            return Ok(Arc::clone(&known.container));
        };
        {
            let mut seen = followed.seen.lock();
            if seen.0.elapsed() < MOVES_SEEN_AFTER {
                return Ok(Arc::clone(&known.container));
            }
            seen.0 = Instant::now();
        }
        let text = followed.init.cgroup_text()?;
        if text == followed.seen.lock().1 {
            return Ok(Arc::clone(&known.container));
        }
        let located = self.hierarchies.locate_process(&text)?;
        let container = Arc::new(known.container.moved_to(&self.hierarchies, located));
        // The held directory belongs to that process: its ID may have been reused.
        let init = Arc::clone(&followed.init);
        let moved = Arc::new(Known {
            container: Arc::clone(&container),
            tenant: known.tenant,
            watch: Mutex::new(known.watch.lock().take()),
            has_own_init: known.has_own_init,
            _held: [
                init.hold_namespace(NamespaceKind::Pid)?,
                init.hold_namespace(NamespaceKind::Cgroup)?,
            ],
            follows: Some(FollowedInit {
                init,
                seen: Mutex::new((Instant::now(), text)),
            }),
        });
        self.known.insert_if(key, moved, |known| known.is_some());
        Ok(container)
    }
}

impl Known {
    /// Returns whether the cgroup of its init has to be checked again.
    fn is_due(&self) -> bool {
        let seen = |init: &FollowedInit| init.seen.lock().0.elapsed() >= MOVES_SEEN_AFTER;
        self.follows.as_ref().is_some_and(seen)
    }
}

/// Maps a missing task to [`ContainerError::CallerGone`].
fn gone(error: HostError) -> ContainerError {
    match error {
        HostError::NotFound { .. } => ContainerError::CallerGone,
        error => error.into(),
    }
}

/// Returns the earliest recorded start of a container: the first process that an earlier vistafs
/// process found may have ended since.
fn first_start(keeper: &Keeper, start: Duration) -> Duration {
    let record = keeper.record("start 1");
    let mut bytes = Vec::new();
    if record.load(&mut bytes)
        && let Ok(ns) = bytes.as_slice().try_into().map(u64::from_le_bytes)
    {
        return Duration::from_nanos(ns).min(start);
    }
    let ns = u64::try_from(start.as_nanos()).unwrap_or(u64::MAX);
    record.save(&mut bytes, |out| out.extend_from_slice(&ns.to_le_bytes()));
    start
}
