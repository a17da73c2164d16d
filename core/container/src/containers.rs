//! From a caller to its container, and the cache of containers.
//!
//! # Synchronization
//! The two tables are locked for a look-up, an insertion or a removal only, never over a system
//! call. Two callers of a new container may both find it out; the first one's answer is kept.

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

/// How long a pid namespace's init is taken to stay in its cgroup.
const MOVES_SEEN_AFTER: Duration = Duration::from_secs(1);

/// Who asks.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A process that is in no container.
    Host,
    /// A process of this container.
    Inside(Arc<Container>),
}

/// What can be said of a caller without waiting for anything that a container can prolong.
#[derive(Debug, Clone)]
pub enum Identity {
    /// [`Containers::caller`] would find this at once.
    Found(Caller),
    /// It would have to find the container out, or to look where the container's init is now. That costs
    /// what the tenant has made it cost, so it runs in the tenant's queue.
    Unknown(Arc<Account>),
}

#[derive(Debug)]
struct Known {
    container: Arc<Container>,
    tenant: Tenant,
    // The process whose end is the container's.
    watch: Mutex<Option<Watch>>,
    // Else its eldest process stands in for it.
    has_own_init: bool,
    // Keep the inode numbers of the key from being given to other namespaces.
    _held: [HeldNamespace; 2],
    follows: Option<FollowedInit>,
}

/// A container without a cgroup namespace of its own is where its init is.
#[derive(Debug)]
struct FollowedInit {
    init: Arc<Process>,
    seen: Mutex<(Instant, Vec<u8>)>,
}

/// What is kept for a tenant.
#[derive(Debug, Default)]
struct OfTenant {
    account: Weak<Account>,
    // Its keys in `known`, the oldest first.
    keys: VecDeque<NamespaceKey>,
}

/// Every container that has asked and lives.
#[derive(Debug)]
pub struct Containers {
    host: Arc<Host>,
    hierarchies: Arc<Hierarchies>,
    own: NamespaceKey,
    callers: Callers,
    known: RcuMap<NamespaceKey, Arc<Known>, 256>,
    by_path: RwLock<HashMap<PathBuf, Arc<Container>>>,
    // Of cgroup namespaces: callers in several pid namespaces may be in one.
    by_cgroups: RwLock<HashMap<Vec<u64>, Weak<Container>>>,
    tenants: Mutex<HashMap<Tenant, OfTenant>>,
    host_account: Arc<Account>,
    offload: Arc<Offload>,
    lifetimes: Lifetimes,
    handover: Option<Arc<Handover>>,
    // What others let go of when all is settled.
    spare: OnceLock<Arc<dyn Settle>>,
}

/// Who keeps memory that is not in use, for the next containers.
pub trait Settle: Debug + Send + Sync {
    /// Containers have ended, and nothing has for a while: gives all of it back.
    fn settle(&self);
}

impl Containers {
    /// Starts with none known.
    ///
    /// # Errors
    /// When vistafs's own namespaces cannot be read.
    pub fn new(host: Arc<Host>, hierarchies: Arc<Hierarchies>) -> Result<Arc<Self>, HostError> {
        Self::with_handover(host, hierarchies, None)
    }

    /// The same, with memory that outlives this process.
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

    /// Has somebody settle as well. The first one who says so.
    pub fn settle_as_well(&self, spare: Arc<dyn Settle>) {
        let _ = self.spare.set(spare);
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// The host's hierarchies.
    #[must_use]
    pub fn hierarchies(&self) -> &Arc<Hierarchies> {
        &self.hierarchies
    }

    /// The memory that outlives this process, if there is any.
    #[must_use]
    pub fn handover(&self) -> Option<&Arc<Handover>> {
        self.handover.as_ref()
    }

    /// How many are known: those that have asked and live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The account of callers on the host.
    #[must_use]
    pub fn host_account(&self) -> &Arc<Account> {
        &self.host_account
    }

    /// The pool of offload threads.
    #[must_use]
    pub fn offload(&self) -> &Arc<Offload> {
        &self.offload
    }

    /// The accounts of all tenants that live, each with the number of pairs of namespaces that are held for it.
    pub(crate) fn accounts(&self) -> Vec<(Arc<Account>, usize)> {
        let tenants = self.tenants.lock();
        let account = |of: &OfTenant| Some((of.account.upgrade()?, of.keys.len()));
        tenants.values().filter_map(account).collect()
    }

    /// The queues in which a request waits or is in service.
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

    /// The account of a cgroup that is named by its path.
    #[must_use]
    pub fn account_of_path(&self, path: &Path) -> Arc<Account> {
        let account = self.account_of(Tenant::named(path));
        account.found_in(path);
        account
    }

    /// Whether the thread `tid` is in no container. The cost does not depend on what any container has made.
    #[must_use]
    pub fn is_on_host(&self, tid: u32) -> bool {
        self.namespaces(tid).is_ok_and(|key| key == self.own)
    }

    /// Who the thread `tid` is, as far as that is known. The cost does not depend on what any container has
    /// made, so a serving thread may ask.
    ///
    /// # Errors
    /// [`ContainerError`], as [`caller`](Self::caller) would answer.
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

    /// The account of a tenant, a new one if it has none.
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

    /// Notes that a pair of namespaces is held for a tenant; those that have to be let go for it.
    fn hold_for(&self, tenant: Tenant, key: NamespaceKey) -> Vec<NamespaceKey> {
        let are_many = self.known.len() > budgets::NAMESPACES_OF_ALL;
        let most = if are_many { 1 } else { budgets::NAMESPACES };
        let mut tenants = self.tenants.lock();
        let keys = &mut tenants.entry(tenant).or_default().keys;
        keys.push_back(key);
        let too_many = keys.len().saturating_sub(most);
        keys.drain(..too_many).collect()
    }

    /// Who the thread `tid` is (a number of vistafs's own pid namespace). It may take what the tenant has
    /// made it take: a serving thread asks [`identify`](Self::identify) first.
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

    /// The container of a cgroup path, the same in every hierarchy.
    ///
    /// # Errors
    /// `NotFound` when no hierarchy has it.
    pub fn at_path(&self, path: &Path) -> Result<Arc<Container>, ContainerError> {
        let known = self.by_path.read().get(path).cloned();
        if let Some(container) = known.filter(|container| container.is_alive()) {
            return Ok(container);
        }
        let located = self.hierarchies.locate_path(path)?;
        let eldest = eldest(&self.host, &located, None);
        let Some((_, start)) = eldest else {
            // When it begins, nobody can tell yet. It must not even be as old as this request: the
            // next one would make it younger, and its counters go down.
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
        // Another may have found it meanwhile. Of two with counters of their own, each would show what
        // the other has not counted.
        let known = by_path.entry(path.to_owned());
        Ok(Arc::clone(known.or_insert(container)))
    }

    /// Those that were asked for by their paths and are there no more: nobody watches them.
    fn forget_gone_paths(&self) {
        let kept: Vec<_> = self
            .by_path
            .read()
            .iter()
            .map(|(p, c)| (p.clone(), Arc::clone(c)))
            .collect();
        for (path, gone) in kept.iter().filter(|(_, kept)| !kept.is_alive()) {
            let mut by_path = self.by_path.write();
            // There may be another one at that path by now.
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

    /// The process that a container was watched by has ended.
    pub(crate) fn ended(&self, key: &NamespaceKey) {
        let Some(known) = self.known.get(key) else {
            return;
        };
        known.watch.lock().take();
        // The next one may end while it is being looked for.
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

    /// Lets a pair of namespaces go, and its container with the last pair.
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
            // What is weakly held keeps its memory.
            let identity = known.container.cgroups().identity();
            let mut by_cgroups = self.by_cgroups.write();
            let kept = by_cgroups.get(&identity).map(Weak::as_ptr);
            if kept == Some(Arc::as_ptr(&known.container)) {
                by_cgroups.remove(&identity);
            }
        }
    }

    /// Lets go of who has ended unseen and of what nobody needs now, and makes those tables anew that were made
    /// when there were more containers: they keep pages of which nothing else is left.
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
        // The thread number may be another's by now; the held directory settles it.
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
        // The init of a pod's shared pid namespace is the pod's, not this container's; that of one
        // whose main thread has ended tells nothing.
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
        // Nobody of it inside: it lasts as long as the one who looks in from outside.
        let leader = member.leader(&self.host)?;
        let watched = own_init.or(stand_in.as_ref()).unwrap_or(&leader);
        let pidfd = watched.pidfd();
        let has_own_init = own_init.is_some();
        let container = match &followed {
            // Where the cgroup namespace decides, all pid namespaces in it are one container.
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
            // What cannot be watched must not be kept: it is found out again the next time.
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

    /// The container that is at these roots of a cgroup namespace, `first` being one of it.
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
            // Nothing tells it from the host, which began at its boot.
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

    /// A known container; if it is where its init is, and that has moved, the same one there.
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
        // The held directory is that process's own: its number may be another's by now.
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
    /// Whether it is time to look where its init is.
    fn is_due(&self) -> bool {
        let seen = |init: &FollowedInit| init.seen.lock().0.elapsed() >= MOVES_SEEN_AFTER;
        self.follows.as_ref().is_some_and(seen)
    }
}

/// A task that is not there has ended.
fn gone(error: HostError) -> ContainerError {
    match error {
        HostError::NotFound { .. } => ContainerError::CallerGone,
        error => error.into(),
    }
}

/// When a container began as earlier processes have found it: whom they took for its first process
/// may have ended since.
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
