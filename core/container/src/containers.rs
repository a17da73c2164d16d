//! From a caller to its container, and the cache of containers.
//!
//! # Synchronization
//! The two tables are locked for a look-up, an insertion or a removal only, never over a system
//! call. Two callers of a new container may both find it out; the first one's answer is kept.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use vistafs_cgroup::Hierarchies;
use vistafs_host::{HeldNamespace, Host, HostError, NamespaceKey, NamespaceKind, Process};
use vistafs_text::time_offsets::Offset;

use crate::eldest::eldest;
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
    known: RwLock<HashMap<NamespaceKey, Arc<Known>>>,
    by_path: RwLock<HashMap<PathBuf, Arc<Container>>>,
    lifetimes: Lifetimes,
}

impl Containers {
    /// Starts with none known.
    ///
    /// # Errors
    /// When vistafs's own namespaces cannot be read.
    pub fn new(host: Arc<Host>, hierarchies: Arc<Hierarchies>) -> Result<Arc<Self>, HostError> {
        let own = NamespaceKey::of_self(&host)?;
        let watched = Lifetimes::new_set()?;
        Ok(Arc::new_cyclic(|containers| Self {
            host,
            hierarchies,
            own,
            known: RwLock::default(),
            by_path: RwLock::default(),
            lifetimes: Lifetimes::new(containers.clone(), watched),
        }))
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
        let key = NamespaceKey::of_task(&self.host, tid).map_err(gone)?;
        if key == self.own {
            return Ok(Caller::Host);
        }
        let known = self.known.read().get(&key).cloned();
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
        let start = eldest(&self.host, &located, None)
            .map_or_else(|| self.host.boottime(), |(_, start)| start);
        let container = Arc::new(Container::new(
            &self.hierarchies,
            located,
            start,
            Offset::default(),
        ));
        let kept: Vec<_> = self
            .by_path
            .read()
            .iter()
            .map(|(p, c)| (p.clone(), Arc::clone(c)))
            .collect();
        let gone = kept.iter().filter(|(_, kept)| !kept.is_alive());
        let gone: Vec<&PathBuf> = gone.map(|(path, _)| path).collect();
        let mut by_path = self.by_path.write();
        for path in gone {
            by_path.remove(path);
        }
        by_path.insert(path.to_owned(), Arc::clone(&container));
        drop(by_path);
        Ok(container)
    }

    /// How many containers are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.read().len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn lifetimes(&self) -> &Lifetimes {
        &self.lifetimes
    }

    /// The process that a container was watched by has ended.
    pub(crate) fn ended(&self, key: &NamespaceKey) {
        let Some(known) = self.known.read().get(key).cloned() else {
            return;
        };
        if !known.has_own_init
            && let Some((next, _)) = eldest(&self.host, known.container.cgroups(), Some(*key))
            && let Ok(pidfd) = next.pidfd()
            && self.lifetimes.watch(*key, pidfd).is_ok()
        {
            return;
        }
        self.known.write().remove(key);
        log::debug!("container {} has ended", known.container.path().display());
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
        // The init of a pod's shared pid namespace is the pod's, not this container's.
        let own_init = match &init {
            Some(init) if init.namespaces()?.cgroup == key.cgroup => Some(init),
            _ => None,
        };
        let (located, followed) = if key.cgroup != self.own.cgroup {
            (self.hierarchies.locate_namespace(&cgroup_namespace)?, None)
        } else {
            let init = init.as_ref().ok_or(ContainerError::CallerGone)?;
            let text = init.cgroup_text()?;
            (self.hierarchies.locate_process(&text)?, Some(text))
        };
        let stand_in = match own_init {
            Some(_) => None,
            None => eldest(&self.host, &located, Some(key)),
        };
        let (watched, start) = match (own_init, &stand_in) {
            (Some(init), _) => (init, init.start(&self.host)?),
            (None, Some((process, start))) => (process, *start),
            // Nobody of it is inside: it lasts as long as the one who looks in from outside.
            (None, None) => (&member, member.start(&self.host)?),
        };
        let offset = watched.boottime_offset()?;
        let pidfd = watched.pidfd();
        let has_own_init = own_init.is_some();
        let container = Container::new(&self.hierarchies, located, start, offset);
        let follows = followed.and_then(|text| {
            Some(FollowedInit {
                init: init?,
                seen: Mutex::new((Instant::now(), text)),
            })
        });
        let fresh = Arc::new(Known {
            container: Arc::new(container),
            has_own_init,
            _held: [pid_namespace, cgroup_namespace],
            follows,
        });
        let kept = {
            let mut known = self.known.write();
            Arc::clone(known.entry(key).or_insert_with(|| Arc::clone(&fresh)))
        };
        if Arc::ptr_eq(&kept, &fresh) {
            log::debug!("container {} has asked", kept.container.path().display());
            // Who cannot be watched must not be kept: it is found out anew the next time.
            if let Err(error) = pidfd.and_then(|pidfd| self.lifetimes.watch(key, pidfd)) {
                log::debug!("cannot watch it: {error}");
                self.known.write().remove(&key);
            }
        }
        Ok(Arc::clone(&kept.container))
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
        if let Some(entry) = self.known.write().get_mut(&key) {
            *entry = moved;
        }
        Ok(container)
    }
}
