//! From a caller to its container, and the cache of containers.
//!
//! # Synchronization
//! The two tables are locked for a look-up, an insertion or a removal only, never over a system
//! call. Two callers of a new container may both find it out; the first one's answer is kept.

use std::collections::HashMap;
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

use crate::callers::Callers;
use crate::eldest::{eldest, outermost_start};
use crate::kept::{Keeper, Origin};
use crate::lifetime::Lifetimes;
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

#[derive(Debug)]
struct Known {
    container: Arc<Container>,
    // Else its eldest process stands in for it.
    has_own_init: bool,
    // Keep the inode numbers of the key from being given to other namespaces.
    _held: [HeldNamespace; 2],
    follows: Option<FollowedInit>,
}

/// A container without a cgroup namespace of its own is where its init is.
#[derive(Debug)]
struct FollowedInit {
    init: Process,
    seen: Mutex<(Instant, Vec<u8>)>,
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
        Ok(Arc::new_cyclic(|containers| Self {
            host,
            hierarchies,
            own,
            callers: Callers::default(),
            known: RcuMap::default(),
            by_path: RwLock::default(),
            by_cgroups: RwLock::default(),
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

    /// Who the thread `tid` is (a number of vistafs's own pid namespace).
    ///
    /// # Errors
    /// [`ContainerError`]; never a guess.
    pub fn caller(&self, tid: u32) -> Result<Caller, ContainerError> {
        if tid == 0 {
            return Err(ContainerError::Invisible);
        }
        let gone = |error: HostError| match error {
            HostError::NotFound { .. } => ContainerError::CallerGone,
            error => error.into(),
        };
        let key = self
            .callers
            .namespaces(&self.host, tid, self.own)
            .map_err(gone)?;
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
            return Ok(Arc::new(container));
        };
        let keeper = Keeper::new(self.handover(), Origin::Path, &located.mark());
        let start = first_start(&keeper, start);
        let container = Container::new(&self.hierarchies, located, start, Offset::default());
        let container = Arc::new(container.kept_by(keeper));
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
        // The next one may end while it is being looked for.
        while !known.has_own_init
            && let Some((next, _)) = eldest(&self.host, known.container.cgroups(), Some(*key))
        {
            let watched = next
                .pidfd()
                .and_then(|pidfd| self.lifetimes.watch(*key, pidfd));
            match watched {
                Ok(()) => return,
                Err(error) if error.is_not_found() => {}
                Err(_) => break,
            }
        }
        self.callers.forget(key);
        self.known.remove(key);
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
        log::debug!("container {} has ended", known.container.path().display());
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
            None => self.of_cgroups(key, located, watched)?,
            Some(_) => {
                let (start, offset) = (watched.start(&self.host)?, watched.boottime_offset()?);
                let init = init.as_ref().ok_or(ContainerError::CallerGone)?;
                let origin = Origin::Init(key.pid, init.start(&self.host)?.as_nanos());
                let keeper = Keeper::new(self.handover(), origin, &[]);
                let start = first_start(&keeper, start);
                let container = Container::new(&self.hierarchies, located, start, offset);
                Arc::new(container.kept_by(keeper))
            }
        };
        let follows = followed.and_then(|text| {
            Some(FollowedInit {
                init: init?,
                seen: Mutex::new((Instant::now(), text)),
            })
        });
        let fresh = Arc::new(Known {
            container,
            has_own_init,
            _held: [pid_namespace, cgroup_namespace],
            follows,
        });
        let kept = self.known.get_or_insert_with(key, || Arc::clone(&fresh));
        if Arc::ptr_eq(&kept, &fresh) {
            log::debug!("container {} has asked", kept.container.path().display());
            // Who cannot be watched must not be kept: it is found out anew the next time.
            if let Err(error) = pidfd.and_then(|pidfd| self.lifetimes.watch(key, pidfd)) {
                log::debug!("cannot watch it: {error}");
                self.known.remove(&key);
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
        let container = Arc::new(container.kept_by(keeper));
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
        let init = Process::open(&self.host, followed.init.pid())?;
        let moved = Arc::new(Known {
            container: Arc::clone(&container),
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
