//! The minimum cost of FUSE: a file system of files that never change, with the same replies to
//! open(2) and the same transport as vistafs.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result};
use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen,
    Request, SessionACL,
};

/// TTL of names and attributes.
const LASTING: Duration = Duration::from_secs(3600);

/// Returns one thread per CPU, 2 to 8, as vistafs does.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, |cpus| cpus.get().clamp(2, 8))
}

/// Serves the contents of a directory until it is unmounted; `kept`: through the page cache, so
/// that OPEN and RELEASE are the only requests.
pub(crate) fn serve(texts: &Path, mount_point: &Path, kept: bool) -> Result<()> {
    let nodes = Vec::new();
    let mut null = Null { nodes, kept };
    null.take(texts, "", 0)?;
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("null".into())];
    config.acl = SessionACL::All;
    config.n_threads = Some(threads());
    fuser::mount(null, mount_point, &config).context("serving")
}

#[derive(Debug)]
struct Node {
    name: String,
    parent: usize,
    // `None`: a directory.
    text: Option<Vec<u8>>,
}

/// The inode minus one is the index; the first node is the root.
#[derive(Debug)]
struct Null {
    nodes: Vec<Node>,
    kept: bool,
}

impl Null {
    fn take(&mut self, path: &Path, name: &str, parent: usize) -> Result<()> {
        let is_directory = path.is_dir();
        let text = match is_directory {
            true => None,
            false => Some(fs::read(path)?),
        };
        let own = self.nodes.len();
        self.nodes.push(Node {
            name: name.to_owned(),
            parent,
            text,
        });
        if is_directory {
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                self.take(&entry.path(), &entry.file_name().to_string_lossy(), own)?;
            }
        }
        Ok(())
    }

    fn node(&self, number: INodeNo) -> Option<&Node> {
        self.nodes
            .get(usize::try_from(number.0.checked_sub(1)?).ok()?)
    }

    fn attributes(&self, number: INodeNo) -> Option<FileAttr> {
        let text = &self.node(number)?.text;
        Some(FileAttr {
            ino: number,
            size: text.as_ref().map_or(0, |text| text.len() as u64),
            blocks: 0,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: match text {
                Some(_) => FileType::RegularFile,
                None => FileType::Directory,
            },
            perm: if text.is_some() { 0o444 } else { 0o555 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }
}

impl Filesystem for Null {
    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let parent = usize::try_from(parent.0 - 1).unwrap_or(usize::MAX);
        let is_it = |(index, node): &(usize, &Node)| {
            *index > 0 && node.parent == parent && OsStr::new(&node.name) == name
        };
        let found = self.nodes.iter().enumerate().find(is_it);
        let number = found.map(|(index, _)| INodeNo(index as u64 + 1));
        match number.and_then(|number| self.attributes(number)) {
            Some(attr) => reply.entry(&LASTING, &attr, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(ino) {
            Some(attr) => reply.attr(&LASTING, &attr),
            None => reply.error(Errno::ESTALE),
        }
    }

    fn open(&self, _req: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let cache = if self.kept {
            FopenFlags::FOPEN_KEEP_CACHE
        } else {
            FopenFlags::FOPEN_DIRECT_IO
        };
        reply.opened(FileHandle(0), cache | FopenFlags::FOPEN_NOFLUSH);
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let text = self.node(ino).and_then(|node| node.text.as_deref());
        let text = text.unwrap_or_default();
        let from = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(text.len());
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let to = from.saturating_add(size).min(text.len());
        reply.data(&text[from..to]);
    }

    fn release(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }
}
