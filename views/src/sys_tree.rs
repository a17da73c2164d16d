//! A read-only directory of the host, with parts hidden from containers: the common code of the CPU
//! and node trees.
//!
//! Callers on the host find the directory as it is. Callers in containers find
//!
//! - entries about a CPU or node (`cpu3`, `node1`, `policy4`) only where that is theirs; the
//!   directory of a hidden CPU can stay, as that of a CPU that is offline ([`HostTree::OFFLINE`]),
//! - none of the entries that [`HostTree::withholds`],
//! - the files that [`HostTree::text`] renders, and
//! - everything else byte for byte as on the host.
//!
//! The only state is the paths that were looked up (`known_paths.rs`). Whether a caller may
//! see a node is decided at each request (`seen.rs`), and the host's file is read at each reading: a
//! CPU that is unplugged is gone at once. A node that is gone or hidden answers ESTALE, its name
//! ENOENT. Modes are the host's without the bits for writing, as nothing can be written. A file that not
//! everybody may read on the host is opened on the host alone: all others have no owner in a mount, so that no
//! container can lease them (`contrib/doc/SECURITY.md`), and this one needs its owner.

mod known_paths;
mod seen;

use std::ffi::OsStr;
use std::fmt::Debug;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use smallvec::SmallVec;
use vistafs_host::{FileKind, FileStat, Host};
use vistafs_view::{Access, Errno, NodeAttributes, NodeId, NodeKind, Request, TreeView, ViewError};

use known_paths::KnownPaths;
pub(crate) use seen::Seen;
#[cfg(feature = "sys-node")]
pub(crate) use seen::{cpu_list, numbered};

/// The rendering of one tree's directory.
pub(crate) trait HostTree: Debug + Send + Sync + 'static {
    /// The directory, below `/`.
    const TOP: &'static str;

    /// Files in it that every caller finds while the kernel runs.
    const LASTING: &'static [&'static str];

    /// Entries that the directory `cpuN` of a hidden CPU retains, as far as the host has them, and always
    /// [`ONLINE`]. Empty: the directory is hidden as well.
    const OFFLINE: &'static [&'static str] = &[];

    /// Whether containers never see an entry of this name, at any path.
    fn withholds(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// Renders the file at `names` below the top for a container, if it differs from the host's;
    /// `false`: it does not.
    fn text(
        &self,
        names: &[&str],
        seen: &mut Seen<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, ViewError>;
}

/// The file in a CPU's directory that shows whether the CPU is online. The kernel has none for a
/// CPU that cannot be unplugged, so a hidden CPU's file may exist for containers only.
pub(crate) const ONLINE: &str = "online";

/// Serves a directory of the host.
#[derive(Debug)]
pub(crate) struct SysTree<T> {
    tree: T,
    paths: KnownPaths,
}

impl<T: HostTree> SysTree<T> {
    pub(crate) fn new(tree: T) -> Self {
        Self {
            tree,
            paths: KnownPaths::new(T::TOP, (!T::OFFLINE.is_empty()).then_some(ONLINE)),
        }
    }

    /// The path below the top of a node that this caller may see, and its visible CPUs and nodes.
    fn find<'r>(
        &self,
        request: &'r mut Request<'_>,
        node: NodeId,
    ) -> Result<(Arc<str>, Option<Seen<'r>>), ViewError> {
        let path = self.paths.get(request.host(), node).ok_or(STALE)?;
        let mut seen = request
            .context()
            .map(|cx| Seen::new(cx, T::TOP, T::OFFLINE));
        if let Some(seen) = &mut seen
            && !self.shows(seen, &path)?
        {
            return Err(STALE);
        }
        Ok((path, seen))
    }

    /// Whether a container may see a path and all its parents.
    fn shows(&self, seen: &mut Seen<'_>, path: &str) -> Result<bool, ViewError> {
        let mut parent_end = 0;
        for name in path.split('/') {
            let parent = path.get(..parent_end).unwrap_or_default();
            if !self.shows_entry(seen, parent.trim_end_matches('/'), name)? {
                return Ok(false);
            }
            parent_end += name.len() + 1;
        }
        Ok(true)
    }

    fn shows_entry(
        &self,
        seen: &mut Seen<'_>,
        parent: &str,
        name: &str,
    ) -> Result<bool, ViewError> {
        Ok(!self.tree.withholds(name) && seen.shows_entry(parent, name)?)
    }

    /// The attributes of a path that the caller may see.
    fn attributes_of(
        &self,
        host: &Host,
        seen: Option<&mut Seen<'_>>,
        path: &str,
    ) -> Result<NodeAttributes, ViewError> {
        let mut stat = host.root().stat(&below(T::TOP, path));
        if let (Err(Errno::NOENT), Some(seen)) = (&stat, seen)
            && seen.is_made_up(path)?
        {
            // It is hidden with its directory.
            let directory = path.trim_end_matches(ONLINE).trim_end_matches('/');
            let directory = host.root().stat(&below(T::TOP, directory));
            stat = directory.map(|directory| FileStat {
                kind: FileKind::File,
                mode: 0o444,
                size: host.page_size(),
                ..directory
            });
        }
        let stat = stat.map_err(ViewError::Answer)?;
        Ok(NodeAttributes {
            id: self.paths.id(path).ok_or(NO_ENTRY)?,
            kind: node_kind(stat.kind).ok_or(NO_ENTRY)?,
            // Read-only.
            mode: match stat.kind {
                FileKind::File => stat.mode & !0o222,
                _ => stat.mode,
            },
            uid: stat.uid,
            gid: stat.gid,
            size: stat.size,
            lasting: T::LASTING.contains(&path),
            changeable: false,
        })
    }
}

const STALE: ViewError = ViewError::Answer(Errno::STALE);
const NO_ENTRY: ViewError = ViewError::Answer(Errno::NOENT);

/// Errno of a node whose file no longer exists.
fn gone(errno: Errno) -> ViewError {
    match errno {
        Errno::NOENT | Errno::NODEV => STALE,
        errno => ViewError::Answer(errno),
    }
}

fn below(top: &str, path: &str) -> PathBuf {
    // Joining an empty path would leave a slash at the end, which asks for a directory.
    match path {
        "" => PathBuf::from(top),
        path => PathBuf::from(format!("{top}/{path}")),
    }
}

fn joined(parent: &str, name: &str) -> String {
    match parent {
        "" => name.to_owned(),
        parent => format!("{parent}/{name}"),
    }
}

fn node_kind(kind: FileKind) -> Option<NodeKind> {
    match kind {
        FileKind::Directory => Some(NodeKind::Directory),
        FileKind::File => Some(NodeKind::File),
        FileKind::Link => Some(NodeKind::Link),
        FileKind::Other => None,
    }
}

impl<T: HostTree> TreeView for SysTree<T> {
    fn lookup(
        &self,
        request: &mut Request<'_>,
        parent: NodeId,
        name: &OsStr,
    ) -> Result<NodeAttributes, ViewError> {
        let host = request.host();
        let (parent, mut seen) = self.find(request, parent)?;
        let name = name.to_str().filter(|name| is_one_component(name));
        let mut name = name.ok_or(NO_ENTRY)?.to_owned();
        if let Some(seen) = &mut seen {
            name = seen.host_name(&name)?.ok_or(NO_ENTRY)?;
            if !self.shows_entry(seen, &parent, &name)? {
                return Err(NO_ENTRY);
            }
        }
        self.attributes_of(host, seen.as_mut(), &joined(&parent, &name))
    }

    fn attributes(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
    ) -> Result<NodeAttributes, ViewError> {
        let host = request.host();
        let (path, mut seen) = self.find(request, node)?;
        let found = self.attributes_of(host, seen.as_mut(), &path);
        found.map_err(|error| match error {
            ViewError::Answer(errno) => gone(errno),
            error => error,
        })
    }

    fn list(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        found: &mut dyn FnMut(&OsStr, NodeId, NodeKind),
    ) -> Result<(), ViewError> {
        let host = request.host();
        let (parent, mut seen) = self.find(request, node)?;
        let entries = host.root().entries(&below(T::TOP, &parent));
        let entries = entries.map_err(gone)?;
        if let Some(seen) = &mut seen {
            let made_up = joined(&parent, ONLINE);
            let has_it = entries.iter().any(|entry| entry.name == ONLINE);
            if !has_it
                && seen.is_made_up(&made_up)?
                && let Some(id) = self.paths.id(&made_up)
            {
                found(OsStr::new(ONLINE), id, NodeKind::File);
            }
        }
        for entry in entries {
            let (Some(name), Some(kind)) = (entry.name.to_str(), node_kind(entry.kind)) else {
                continue;
            };
            let mut shown = name.to_owned();
            if let Some(seen) = &mut seen {
                if !self.shows_entry(seen, &parent, name)? {
                    continue;
                }
                shown = seen.shown_name(name)?;
            }
            if let Some(id) = self.paths.id(&joined(&parent, name)) {
                found(OsStr::new(&shown), id, kind);
            }
        }
        Ok(())
    }

    fn open(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        access: Access,
    ) -> Result<(), ViewError> {
        let host = request.host();
        let (path, seen) = self.find(request, node)?;
        if access.write {
            return Err(ViewError::Answer(Errno::ROFS));
        }
        // A file without a counterpart on the host is world-readable.
        if seen.is_some()
            && let Ok(stat) = host.root().stat(&below(T::TOP, &path))
            && stat.mode & 0o004 == 0
        {
            return Err(ViewError::Answer(Errno::ACCESS));
        }
        Ok(())
    }

    fn read(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        let host = request.host();
        let (path, seen) = self.find(request, node)?;
        if let Some(mut seen) = seen {
            let names: SmallVec<[&str; 8]> = path.split('/').collect();
            if self.tree.text(&names, &mut seen, out)? {
                return Ok(());
            }
        }
        host.root().read(&below(T::TOP, &path), out).map_err(gone)
    }

    fn read_link(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        let host = request.host();
        let (path, seen) = self.find(request, node)?;
        let target = host.root().read_link(&below(T::TOP, &path)).map_err(gone)?;
        match (seen, target.to_str().and_then(|text| text.rsplit_once('/'))) {
            (Some(mut seen), Some((directory, name))) => {
                let name = seen.shown_name(name)?;
                out.extend_from_slice(joined(directory, &name).as_bytes());
            }
            _ => out.extend_from_slice(target.as_bytes()),
        }
        Ok(())
    }
}

fn is_one_component(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests;
