//! The container's cgroups, one in each hierarchy: `/vistafs/NAME`.
//!
//! They are directly below the root, not below the cgroup of this process: on v2 a cgroup with processes
//! cannot enable controllers for its children.
//!
//! A name is reserved by a lock (flock(2)) on its directory in one hierarchy, which the kernel
//! releases however `run` ends. A directory without a lock and without processes is left over
//! from a killed `run`, and the next one removes it. Directories outside a reserved name are
//! created and removed under a lock on a file in the root of the hierarchy.
//!
//! Promises: the cgroups are removed on drop, with all processes and cgroups in them. Controllers that
//! were enabled at the root of v2 stay enabled, as other programs may
//! rely on them by then.

mod controllers;
mod limits;
mod tree;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use vistafs_cgroup::{Hierarchies, Hierarchy, Version};

use super::args::Limits;

/// The parent of all containers' cgroups in each hierarchy.
const PARENT: &str = "vistafs";

/// Timeout for the exit of killed processes; the kernel may be writing their core files.
const LONGEST_KILL: Duration = Duration::from_secs(5);

/// The cgroups of one container.
pub(super) struct Cgroups {
    name: String,
    places: Vec<Place>,
    // Set when the name is reserved: the cgroups of other runs must not be removed.
    taken: Option<File>,
}

/// The cgroup of the container in one hierarchy.
struct Place {
    version: Version,
    /// `memory`, or `cpu,cpuacct`, or `unified`.
    hierarchy: String,
    root: PathBuf,
    parent: PathBuf,
    own: PathBuf,
}

impl Place {
    fn has(&self, controller: &str) -> bool {
        self.hierarchy.split(',').any(|one| one == controller)
    }
}

impl Cgroups {
    /// Creates the cgroups with their limits.
    pub(super) fn create(hierarchies: &Hierarchies, name: &str, limits: &Limits) -> Result<Self> {
        let mut places = places(hierarchies, name);
        // The first one has the lock: every `run` must use the same.
        places.sort_by(|a, b| a.hierarchy.cmp(&b.hierarchy));
        let mut cgroups = Self {
            name: name.to_owned(),
            places,
            taken: None,
        };
        cgroups.make(&limits.controllers())?;
        limits::apply(limits, &cgroups.places)?;
        Ok(cgroups)
    }

    fn make(&mut self, needed: &[&str]) -> Result<()> {
        let Some(first) = self.places.first() else {
            bail!("no cgroup hierarchy is mounted");
        };
        let _roots = lock_roots(first)?;
        self.remove_left_over();
        for place in &self.places {
            make_directory(&place.parent)?;
            controllers::prepare_parent(place, needed)?;
        }
        let taken = self.take_name()?;
        self.taken = Some(taken);
        for place in &self.places {
            make_directory(&place.own)?;
            controllers::prepare_own(place)?;
        }
        Ok(())
    }

    /// Creates the directory whose lock reserves the name.
    fn take_name(&self) -> Result<File> {
        let in_use = |place: &Place| {
            let own = place.own.display();
            format!(
                "the name {} is in use: see {own}/cgroup.procs, or choose another with --name",
                self.name
            )
        };
        self.await_killed_namesake();
        // Leftovers were removed, so an existing directory is in use.
        if let Some(place) = self.places.iter().find(|place| place.own.exists()) {
            bail!(in_use(place));
        }
        let first = &self.places[0];
        make_directory(&first.own)?;
        lock(&first.own, FlockOperation::NonBlockingLockExclusive)
    }

    /// The processes of a `run` with this name that was killed just now exit in a moment.
    fn await_killed_namesake(&self) {
        let claim = &self.places[0].own;
        let is_left = || self.places.iter().any(|place| place.own.exists());
        // The lock may be gone before the other directories, whose processes still existed. Creators
        // hold the lock of the roots, as this function does.
        let is_free =
            || !claim.exists() || lock(claim, FlockOperation::NonBlockingLockExclusive).is_ok();
        let end = Instant::now() + LONGEST_KILL;
        while Instant::now() < end && is_left() && is_free() {
            self.remove_name(Path::new(&self.name));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Removes the empty leftovers of killed runs.
    fn remove_left_over(&self) {
        let first = &self.places[0];
        for place in &self.places {
            for name in tree::children(&place.parent) {
                let claim = first.parent.join(&name);
                match lock(&claim, FlockOperation::NonBlockingLockExclusive) {
                    // A directory that is not empty is in use.
                    Ok(_unused) => self.remove_name(Path::new(&name)),
                    Err(_) if !claim.exists() => self.remove_name(Path::new(&name)),
                    Err(_) => {}
                }
            }
        }
    }

    fn remove_name(&self, name: &Path) {
        // The one with the lock last, so that the name is not free before all are gone.
        for place in self.places.iter().rev() {
            let left_over = place.parent.join(name);
            if tree::remove(&left_over) == Err(Errno::BUSY) {
                // It was killed with its init but is frozen: it exits now, and the next run removes the directory.
                tree::thaw(&left_over);
            }
        }
    }

    fn remove(&self) {
        let end = Instant::now() + LONGEST_KILL;
        for place in self.places.iter().rev() {
            loop {
                match tree::remove(&place.own) {
                    Ok(()) => break,
                    Err(errno) if errno == Errno::BUSY && Instant::now() < end => {
                        tree::kill_all(&place.own);
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    Err(errno) => {
                        eprintln!(
                            "vistafs run: cannot remove the cgroup {}: {errno}; \
                             once its processes have ended the next `vistafs run` removes it",
                            place.own.display()
                        );
                        break;
                    }
                }
            }
        }
    }

    /// Removes the parents if they have no other container.
    fn remove_parents(&self) {
        let first = &self.places[0];
        if let Ok(_roots) = lock_roots(first) {
            for place in &self.places {
                let _ = fs::remove_dir(&place.parent);
            }
        }
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        if self.taken.is_some() {
            self.remove();
        }
        if !self.places.is_empty() {
            self.remove_parents();
        }
    }
}

/// Moves this process into the cgroups of a new container.
pub(super) fn join(hierarchies: &Hierarchies, name: &str) -> Result<()> {
    for place in places(hierarchies, name) {
        let procs = place.own.join("cgroup.procs");
        // Zero is the writing process, whatever its ID is there.
        fs::write(&procs, "0").with_context(|| format!("joining {}", procs.display()))?;
    }
    Ok(())
}

/// Thaws the whole container, whose init this process is, through its own view of the cgroups.
///
/// Otherwise the kernel would wait for ever, at the exit of the init, for the frozen processes.
pub(super) fn thaw(hierarchies: &Hierarchies) {
    for hierarchy in hierarchies.all() {
        tree::thaw(hierarchy.root().path());
    }
}

fn places(hierarchies: &Hierarchies, name: &str) -> Vec<Place> {
    let place = |hierarchy: &Arc<Hierarchy>| {
        let root = hierarchy.root().path().to_owned();
        let parent = root.join(PARENT);
        Place {
            version: hierarchy.version(),
            hierarchy: hierarchy.name().to_owned(),
            own: parent.join(name),
            root,
            parent,
        }
    };
    hierarchies.all().iter().map(place).collect()
}

fn make_directory(path: &Path) -> Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            let path = path.display();
            Err(error).with_context(|| {
                format!("making the cgroup {path}: `vistafs run` needs cgroup mounts that it may write to")
            })
        }
        _ => Ok(()),
    }
}

/// A file in the root, not the directory: if this process runs in a container of another `run`, that
/// directory has the lock of the other's name.
fn lock_roots(first: &Place) -> Result<File> {
    let file = first.root.join("cgroup.procs");
    lock(&file, FlockOperation::LockExclusive)
}

/// The lock lasts as long as the open file.
fn lock(path: &Path, how: FlockOperation) -> Result<File> {
    let locking = || format!("locking {}", path.display());
    let file = File::open(path).with_context(locking)?;
    rustix::io::retry_on_intr(|| rustix::fs::flock(&file, how)).with_context(locking)?;
    Ok(file)
}
