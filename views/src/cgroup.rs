//! `/sys/fs/cgroup` for containers without a cgroup namespace: a directory for each hierarchy that the
//! host has mounted.
//!
//! ```text
//! $ find /sys/fs/cgroup/freezer -type d
//! /sys/fs/cgroup/freezer
//! /sys/fs/cgroup/freezer/lxc
//! /sys/fs/cgroup/freezer/lxc/c1
//! /sys/fs/cgroup/freezer/lxc/c1/job
//! ```
//!
//! - a container sees the path from the top to its own cgroup, with one entry in each directory and
//!   no files, and below it everything that the kernel has; a hierarchy in which it has no cgroup
//!   of its own is hidden. Callers on the host see the host's tree;
//! - reads and writes go to the kernel's files, with the kernel's errors. Task IDs are the caller's
//!   (`cgroup/tasks.rs`);
//! - the kernel decides about access, by the caller's ids and its capabilities over that node
//!   (`vistafs_host::Credentials`). In addition, for a container: its own cgroup belongs to its
//!   creator. Limits can be written, and mode and owner changed, only on a file whose owner is an
//!   id of the container's that is not root on the host ([`Role`]). A task can be moved only within
//!   the container's subtree;
//! - `cgroup.event_control` of v1 takes descriptor numbers, which would refer to vistafs's
//!   descriptors: EPERM.
//!
//! `Documentation/admin-guide/cgroup-v1/cgroups.rst`, `Documentation/admin-guide/cgroup-v2.rst`.

mod numbers;
mod open_file;
mod tasks;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use vistafs_cgroup::{Cgroup, Hierarchies, Hierarchy, Role, Standing};
use vistafs_host::{Credentials, Dir, FileKind, FileStat, Owner, descriptors};
use vistafs_view::{
    Access, Change, Channel, Errno, NodeAttributes, NodeId, NodeKind, Provider, Request, Source,
    TreeView, ViewError, ViewSpec, inventory,
};

use crate::share::Counted;
use numbers::{Numbers, Place};
use open_file::{OpenFile, OpenFiles};

inventory::submit! {
    ViewSpec {
        name: "cgroup",
        path: "cgroup",
        summary: "the way to the container's cgroup in each hierarchy, and all below it",
        mode: 0o755,
        on_by_default: true,
        sources: &[Source::Hierarchies],
        options: &[],
        build: |_| Provider::Tree(Arc::new(CgroupTree::default())),
    }
}

/// Serves all hierarchies.
#[derive(Debug, Default)]
struct CgroupTree {
    numbers: Numbers,
    // For callers on the host.
    open: Arc<OpenFiles>,
}

/// A node below the top that the caller may see.
struct Found {
    index: usize,
    hierarchy: Arc<Hierarchy>,
    // The container's own; `None`: the caller is on the host.
    cgroup: Option<Arc<Cgroup>>,
    directory: Dir,
    standing: Standing,
    // A file in the directory; `None`: the directory.
    file: Option<OsString>,
}

const STALE: ViewError = ViewError::Answer(Errno::STALE);
const NO_ENTRY: ViewError = ViewError::Answer(Errno::NOENT);
const NOT_PERMITTED: ViewError = ViewError::Answer(Errno::PERM);
const ITSELF: &str = ".";

/// Errno of a node whose cgroup was removed.
fn gone(errno: Errno) -> ViewError {
    match errno {
        Errno::NOENT | Errno::NODEV => STALE,
        errno => ViewError::Answer(errno),
    }
}

/// Errno of an open file whose cgroup was removed.
fn no_device(errno: Errno) -> ViewError {
    match errno {
        Errno::NOENT => ViewError::Answer(Errno::NODEV),
        errno => ViewError::Answer(errno),
    }
}

/// Result of acting as the caller: the kernel's errno for the action, or for assuming its credentials.
fn judged<T>(outcome: Result<Result<T, Errno>, Errno>) -> Result<T, ViewError> {
    outcome.and_then(|answer| answer).map_err(ViewError::Answer)
}

fn owner(stat: &FileStat) -> Owner {
    Owner {
        uid: stat.uid,
        gid: stat.gid,
    }
}

/// Name of a hierarchy's directory: systemd's name below /sys/fs/cgroup, unless another hierarchy
/// has that name.
fn shown_name<'h>(hierarchies: &Hierarchies, hierarchy: &'h Hierarchy) -> &'h str {
    let full = hierarchy.name();
    match full.strip_prefix("name=") {
        Some(own) if hierarchies.all().iter().all(|other| other.name() != own) => own,
        _ => full,
    }
}

/// The container's cgroup in a hierarchy. `Err`: it has none of its own there.
fn cgroup_of(request: &Request<'_>, index: usize) -> Result<Option<Arc<Cgroup>>, ViewError> {
    let Some(container) = request.container() else {
        return Ok(None);
    };
    let own = container.cgroups().in_hierarchy(index);
    let own = own.filter(|cgroup| !cgroup.is_root());
    own.map(|own| Some(Arc::clone(own))).ok_or(STALE)
}

impl CgroupTree {
    fn find(&self, request: &Request<'_>, node: NodeId) -> Result<Option<Found>, ViewError> {
        let place = self.numbers.place(request.hierarchies(), node);
        let (index, number, file) = match place.ok_or(STALE)? {
            Place::Top => return Ok(None),
            Place::In {
                hierarchy,
                directory,
                file,
            } => (hierarchy, directory, file),
        };
        let hierarchy = request.hierarchies().all().get(index).ok_or(STALE)?;
        let cgroup = cgroup_of(request, index)?;
        let directory = self.numbers.open(index, hierarchy, number);
        let directory = directory.map_err(gone)?;
        let standing = match &cgroup {
            None => Standing::Below,
            Some(cgroup) => cgroup.standing(&directory).map_err(gone)?,
        };
        let file = match (standing, file) {
            (Standing::Elsewhere, _) => return Err(STALE),
            (_, 0) => None,
            (Standing::Above { .. }, _) => return Err(STALE),
            (_, file) => Some(self.numbers.name(index, &directory, file).ok_or(STALE)?),
        };
        Ok(Some(Found {
            index,
            hierarchy: Arc::clone(hierarchy),
            cgroup,
            directory,
            standing,
            file,
        }))
    }

    /// The file of a node; EISDIR for a directory.
    fn find_file(
        &self,
        request: &Request<'_>,
        node: NodeId,
    ) -> Result<(Found, OsString), ViewError> {
        let mut found = self.find(request, node)?;
        let name = found.as_mut().and_then(|found| found.file.take());
        found.zip(name).ok_or(ViewError::Answer(Errno::ISDIR))
    }

    /// The directory of a node, to change an entry of it.
    fn find_changeable(&self, request: &Request<'_>, node: NodeId) -> Result<Found, ViewError> {
        let found = self.find(request, node)?.ok_or(NOT_PERMITTED)?;
        match found.standing {
            _ if found.file.is_some() => Err(ViewError::Answer(Errno::NOTDIR)),
            Standing::Above { .. } => Err(NOT_PERMITTED),
            _ => Ok(found),
        }
    }

    /// The top of a hierarchy, as the directory of the host's mount.
    fn top_of(&self, hierarchies: &Hierarchies, index: usize) -> Result<NodeAttributes, ViewError> {
        let hierarchy = hierarchies.all().get(index).ok_or(NO_ENTRY)?;
        let stat = hierarchy.root().stat(Path::new(ITSELF));
        let stat = stat.map_err(ViewError::Answer)?;
        Ok(attributes(
            self.numbers.of_directory(hierarchies, index, stat.inode),
            &stat,
        ))
    }

    /// The entry `name` of a kernel directory; `.` is the directory itself.
    fn attributes_in(
        &self,
        request: &Request<'_>,
        (index, directory): (usize, &Dir),
        name: &OsStr,
    ) -> Result<NodeAttributes, Errno> {
        let stat = directory.stat(Path::new(name))?;
        let hierarchies = request.hierarchies();
        let id = match stat.kind {
            FileKind::Directory => self.numbers.of_directory(hierarchies, index, stat.inode),
            FileKind::File => {
                let parent = directory.inode()?;
                self.numbers.of_file(hierarchies, index, parent, name)
            }
            FileKind::Link | FileKind::Other => return Err(Errno::NOENT),
        };
        Ok(attributes(id, &stat))
    }
}

fn attributes(id: NodeId, stat: &FileStat) -> NodeAttributes {
    NodeAttributes {
        id,
        kind: match stat.kind {
            FileKind::Directory => NodeKind::Directory,
            _ => NodeKind::File,
        },
        mode: stat.mode,
        uid: stat.uid,
        gid: stat.gid,
        size: stat.size,
        lasting: false,
        changeable: true,
    }
}

impl Found {
    fn stat(&self) -> Result<FileStat, ViewError> {
        let name = self.file.as_deref().unwrap_or(OsStr::new(ITSELF));
        self.directory.stat(Path::new(name)).map_err(gone)
    }

    /// Whether only the creator of the container's own cgroup may change this file.
    fn is_reserved_for_creator(&self, credentials: &Credentials, stat: &FileStat) -> bool {
        let is_given = stat.uid != 0 && credentials.has_id(owner(stat));
        self.standing == Standing::Own && !is_given
    }

    /// The name of the directory below this one that leads to the container.
    fn next_name(&self, next: u64) -> Result<OsString, ViewError> {
        let entries = self.directory.entries(Path::new(ITSELF)).map_err(gone)?;
        let found = entries.into_iter().find(|entry| entry.inode == next);
        found.map(|entry| entry.name).ok_or(STALE)
    }
}

impl TreeView for CgroupTree {
    /// Only directories below a container's own cgroup belong to it alone. Requests on other
    /// directories are refused without looking up any name.
    fn is_shared(&self, request: &mut Request<'_>, directory: NodeId) -> bool {
        match self.find(request, directory) {
            Ok(Some(found)) => !matches!(found.standing, Standing::Own | Standing::Below),
            _ => true,
        }
    }

    fn lookup(
        &self,
        request: &mut Request<'_>,
        parent: NodeId,
        name: &OsStr,
    ) -> Result<NodeAttributes, ViewError> {
        let hierarchies = request.hierarchies();
        let Some(parent) = self.find(request, parent)? else {
            let is_it = |hierarchy: &Arc<Hierarchy>| name == shown_name(hierarchies, hierarchy);
            let index = hierarchies.all().iter().position(is_it).ok_or(NO_ENTRY)?;
            cgroup_of(request, index).map_err(|_| NO_ENTRY)?;
            return self.top_of(hierarchies, index);
        };
        if parent.file.is_some() {
            return Err(ViewError::Answer(Errno::NOTDIR));
        }
        let place = (parent.index, &parent.directory);
        let found = self.attributes_in(request, place, name);
        match (parent.standing, found) {
            (Standing::Above { next }, Ok(found)) => {
                let id = self.numbers.of_directory(hierarchies, parent.index, next);
                (found.id == id).then_some(found).ok_or(NO_ENTRY)
            }
            (Standing::Above { .. }, Err(_)) => Err(NO_ENTRY),
            (_, found) => found.map_err(ViewError::Answer),
        }
    }

    fn attributes(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
    ) -> Result<NodeAttributes, ViewError> {
        let Some(found) = self.find(request, node)? else {
            return Ok(NodeAttributes {
                id: NodeId::TOP,
                kind: NodeKind::Directory,
                mode: 0o555,
                uid: 0,
                gid: 0,
                size: 0,
                lasting: true,
                changeable: false,
            });
        };
        let name = found.file.as_deref().unwrap_or(OsStr::new(ITSELF));
        self.attributes_in(request, (found.index, &found.directory), name)
            .map_err(gone)
    }

    fn list(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        found: &mut dyn FnMut(&OsStr, NodeId, NodeKind),
    ) -> Result<(), ViewError> {
        let hierarchies = request.hierarchies();
        let Some(parent) = self.find(request, node)? else {
            for (index, hierarchy) in hierarchies.all().iter().enumerate() {
                if cgroup_of(request, index).is_ok() {
                    let root = hierarchy.root_inode();
                    let id = self.numbers.of_directory(hierarchies, index, root);
                    let name = shown_name(hierarchies, hierarchy);
                    found(OsStr::new(name), id, NodeKind::Directory);
                }
            }
            return Ok(());
        };
        if parent.file.is_some() {
            return Err(ViewError::Answer(Errno::NOTDIR));
        }
        let index = parent.index;
        if let Standing::Above { next } = parent.standing {
            let id = self.numbers.of_directory(hierarchies, index, next);
            found(&parent.next_name(next)?, id, NodeKind::Directory);
            return Ok(());
        }
        let inode = parent.directory.inode().map_err(gone)?;
        let entries = parent.directory.entries(Path::new(ITSELF)).map_err(gone)?;
        for entry in entries {
            let (id, kind) = match entry.kind {
                FileKind::Directory => (
                    self.numbers.of_directory(hierarchies, index, entry.inode),
                    NodeKind::Directory,
                ),
                FileKind::File => (
                    self.numbers.of_file(hierarchies, index, inode, &entry.name),
                    NodeKind::File,
                ),
                FileKind::Link | FileKind::Other => continue,
            };
            found(&entry.name, id, kind);
        }
        Ok(())
    }

    /// The kernel has checked read access by mode and owner, which it requests each time.
    fn open(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        access: Access,
    ) -> Result<(), ViewError> {
        let (found, name) = self.find_file(request, node)?;
        if !access.write {
            return Ok(());
        }
        match found.hierarchy.role(&name) {
            Role::TakesDescriptors => Err(NOT_PERMITTED),
            Role::Limit if found.standing == Standing::Own => {
                let stat = found.directory.stat(Path::new(&name)).map_err(gone)?;
                if found.is_reserved_for_creator(&request.credentials()?, &stat) {
                    return Err(NOT_PERMITTED);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn read(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        let (found, name) = self.find_file(request, node).map_err(|error| match error {
            // As for the kernel's file of a removed cgroup.
            ViewError::Answer(Errno::STALE) => ViewError::Answer(Errno::NODEV),
            error => error,
        })?;
        if !found.hierarchy.role(&name).is_of_tasks() {
            return found
                .directory
                .read(Path::new(&name), out)
                .map_err(no_device);
        }
        let mut text = Vec::new();
        let read = found.directory.read(Path::new(&name), &mut text);
        read.map_err(no_device)?;
        tasks::push_list(request, &text, out)
    }

    /// The caller sets the trigger: the kernel checks the opener of the file.
    fn channel_again(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        _: Access,
        lasting: &[u8],
    ) -> Result<Option<Box<dyn Channel>>, ViewError> {
        let access = Access {
            read: true,
            write: true,
        };
        let channel = self.channel(request, node, access)?;
        if let Some(channel) = &channel {
            channel.write(request, lasting)?;
        }
        Ok(channel)
    }

    fn channel(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        access: Access,
    ) -> Result<Option<Box<dyn Channel>>, ViewError> {
        let (found, name) = self.find_file(request, node)?;
        let container = request.container();
        let open = container.map_or_else(|| Arc::clone(&self.open), |of| of.state());
        let counted = Counted::new(open).ok_or(ViewError::Answer(Errno::NFILE))?;
        let path = Path::new(&name);
        let owner = owner(&found.directory.stat(path).map_err(gone)?);
        let opened = request.credentials()?.act_on(owner, || match access {
            Access { write: false, .. } => found.directory.open_file(path),
            Access { read: false, .. } => found.directory.open_file_to_write_only(path),
            _ => found.directory.open_file_to_write(path),
        });
        let file = judged(opened)?;
        if descriptors::are_scarce(&file) {
            return Err(ViewError::Answer(Errno::NFILE));
        }
        Ok(Some(Box::new(OpenFile {
            file,
            access,
            role: found.hierarchy.role(&name),
            trigger: name
                .as_encoded_bytes()
                .ends_with(b".pressure")
                .then(OnceLock::new),
            directory: found.directory,
            cgroup: found.cgroup,
            owner,
            _counted: counted,
        })))
    }

    fn make_directory(
        &self,
        request: &mut Request<'_>,
        parent: NodeId,
        name: &OsStr,
        mode: u32,
    ) -> Result<NodeAttributes, ViewError> {
        let parent = self.find_changeable(request, parent)?;
        let (directory, mode) = (&parent.directory, mode & 0o7777);
        let credentials = request.credentials()?;
        let made = credentials.act_on(owner(&parent.stat()?), || {
            directory.make_directory(name, mode)
        });
        judged(made)?;
        let stat = directory.stat(Path::new(name)).map_err(gone)?;
        if u32::from(stat.mode) != mode {
            // The kernel has applied the caller's umask; vistafs's own must not apply.
            let set = credentials.act_on(owner(&stat), || directory.set_mode(name, mode));
            judged(set)?;
        }
        self.attributes_in(request, (parent.index, directory), name)
            .map_err(gone)
    }

    fn remove_directory(
        &self,
        request: &mut Request<'_>,
        parent: NodeId,
        name: &OsStr,
    ) -> Result<(), ViewError> {
        let parent = self.find_changeable(request, parent)?;
        let removed = request.credentials()?.act_on(owner(&parent.stat()?), || {
            parent.directory.remove_directory(name)
        });
        judged(removed)
    }

    fn change(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        change: Change,
    ) -> Result<(), ViewError> {
        let found = self.find(request, node)?.ok_or(NOT_PERMITTED)?;
        let (stat, credentials) = (found.stat()?, request.credentials()?);
        let owner = owner(&stat);
        let wanted = Owner {
            uid: change.uid.unwrap_or(owner.uid),
            gid: change.gid.unwrap_or(owner.gid),
        };
        let is_above = matches!(found.standing, Standing::Above { .. });
        if is_above
            || found.is_reserved_for_creator(&credentials, &stat)
            || !credentials.has_id(wanted)
        {
            return Err(NOT_PERMITTED);
        }
        let name = found.file.as_deref().unwrap_or(OsStr::new(ITSELF));
        let directory = &found.directory;
        let changed = credentials.act_on(owner, || {
            if change.uid.is_some() || change.gid.is_some() {
                directory.set_owner(name, change.uid, change.gid)?;
            }
            match change.mode {
                Some(mode) => directory.set_mode(name, mode & 0o7777),
                None => Ok(()),
            }
        });
        judged(changed)
    }
}
