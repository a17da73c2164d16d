//! FUSE requests to the dispatcher and its answers back: converts, and nothing else.
//!
//! Each request is noted from before it is served until it is answered (`fuse/noting.rs`).
//!
//! A panic would end fuser's event loop for good, so each request runs under `catch_unwind`; the
//! reply that it drops is answered with EIO by fuser.

use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    IoctlFlags, KernelConfig, LockOwner, OpenAccMode, OpenFlags, PollEvents, PollFlags,
    PollNotifier, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr,
    Request, TimeOrNow, WriteFlags,
};

use vistafs_handover::{InFlight, Request as Noted, SENT_AGAIN};
use vistafs_view::{Access, Asker, Change, NodeKind};

use crate::abi::{self, opcode};
use crate::aside::Aside;
use crate::channel::Wake;
use crate::dispatcher::Poll;
use crate::{Attributes, DispatchError, Dispatcher, Entry, PageCache};

mod noting;

/// How long the kernel may keep a name that never changes.
pub(crate) const LASTING: Duration = Duration::from_secs(3600);
/// How long the kernel may keep attributes: times are "now", so not long.
pub(crate) const ATTRIBUTES: Duration = Duration::from_secs(1);
pub(crate) const NOT_AT_ALL: Duration = Duration::ZERO;
/// No flush: no write is kept back. Direct I/O: no page cache that two containers could share; that
/// of a container's own node is that one's.
pub(crate) fn opened(page_cache: PageCache) -> FopenFlags {
    let cache = match page_cache {
        PageCache::Bypassed => FopenFlags::FOPEN_DIRECT_IO,
        PageCache::Renewed => FopenFlags::empty(),
        PageCache::Kept => FopenFlags::FOPEN_KEEP_CACHE,
    };
    cache | FopenFlags::FOPEN_NOFLUSH
}

/// The file system as fuser wants it.
#[derive(Debug)]
pub struct VistaFs {
    dispatcher: Arc<Dispatcher>,
}

impl VistaFs {
    /// Serves a dispatcher.
    #[must_use]
    pub fn new(dispatcher: Arc<Dispatcher>) -> Self {
        Self { dispatcher }
    }
}

/// Runs a request; a panic in it is logged and becomes an error.
pub(crate) fn guarded<T>(request: impl FnOnce() -> Result<T, DispatchError>) -> Result<T, Errno> {
    let outcome = catch_unwind(AssertUnwindSafe(request)).unwrap_or_else(|_| {
        // The panic's own message has been printed by the panic hook.
        log::error!(
            "a request has panicked; its caller gets EIO (please report it, with the lines above)"
        );
        Err(DispatchError::Panic)
    });
    outcome.map_err(|error| errno(&error))
}

fn errno(error: &DispatchError) -> Errno {
    Errno::from_i32(error.errno())
}

/// Whether the kernel has sent the request before, to a worker that is dead: FUSE_UNIQUE_RESEND.
fn is_sent_again(request: &Request) -> bool {
    request.unique().0 & SENT_AGAIN != 0
}

pub(crate) fn access(flags: OpenFlags) -> Access {
    Access {
        read: flags.acc_mode() != OpenAccMode::O_WRONLY,
        write: flags.acc_mode() != OpenAccMode::O_RDONLY,
    }
}

fn asker(request: &Request) -> Asker {
    Asker {
        tid: request.pid(),
        uid: request.uid(),
        gid: request.gid(),
    }
}

/// How long the kernel may keep attributes.
pub(crate) fn kept(attributes: &Attributes) -> Duration {
    match attributes.freshness {
        Some(fresh) => fresh.left,
        None if attributes.changeable => NOT_AT_ALL,
        None => ATTRIBUTES,
    }
}

fn reply_attributes(found: Result<Attributes, Errno>, reply: ReplyAttr) {
    match found {
        Ok(attributes) => reply.attr(&kept(&attributes), &attr(&attributes)),
        Err(errno) => reply.error(errno),
    }
}

/// Answers now, or aside where that may take long.
fn answer(
    aside: Option<Arc<Aside>>,
    noted: Option<InFlight>,
    answer: impl FnOnce() + Send + 'static,
) {
    let Some(aside) = aside else {
        // The note lasts until after the reply.
        answer();
        drop(noted);
        return;
    };
    aside.give(move || {
        // To wait for others of its container is not to be stuck: those that it waits for are, if any.
        noted.iter().for_each(InFlight::begin_anew);
        answer();
        drop(noted);
    });
}

/// What is sent, or the error.
fn answer_data(
    reply: ReplyData,
    read: impl FnOnce(&mut dyn FnMut(&[u8])) -> Result<(), DispatchError>,
) {
    let mut reply = Some(reply);
    let outcome = guarded(|| {
        read(&mut |bytes| {
            if let Some(reply) = reply.take() {
                reply.data(bytes);
            }
        })
    });
    if let (Err(errno), Some(reply)) = (outcome, reply) {
        reply.error(errno);
    }
}

fn file_type(kind: NodeKind) -> FileType {
    match kind {
        NodeKind::Directory => FileType::Directory,
        NodeKind::File => FileType::RegularFile,
        NodeKind::Link => FileType::Symlink,
    }
}

fn attr(attributes: &Attributes) -> FileAttr {
    let now = attributes.modified();
    FileAttr {
        ino: INodeNo(attributes.number),
        size: attributes.size,
        blocks: 0,
        atime: now,
        mtime: now,
        ctime: now,
        crtime: SystemTime::UNIX_EPOCH,
        kind: file_type(attributes.kind),
        perm: attributes.mode,
        nlink: match attributes.kind {
            NodeKind::Directory => 2,
            NodeKind::File | NodeKind::Link => 1,
        },
        uid: attributes.uid,
        gid: attributes.gid,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

fn reply_entry(found: Result<Entry, Errno>, reply: ReplyEntry) {
    match found {
        Ok(entry) => {
            let name_ttl = if entry.lasting { LASTING } else { NOT_AT_ALL };
            let attr = attr(&entry.attributes);
            let kept = kept(&entry.attributes);
            reply.entry_with_ttls(&kept, &name_ttl, &attr, Generation(0));
        }
        Err(errno) => reply.error(errno),
    }
}

fn reply_empty(outcome: Result<(), Errno>, reply: ReplyEmpty) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

impl Filesystem for VistaFs {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Look-ups in one directory at the same time: one that is slow delays no other. A kernel
        // without it (before 4.7) serialises them.
        if config
            .add_capabilities(InitFlags::FUSE_PARALLEL_DIROPS)
            .is_err()
        {
            log::debug!("the kernel has no parallel directory operations");
        }
        // Pages are dropped when the time of change is another. Who took this mount over from a
        // release that did not ask for it does without.
        if config
            .add_capabilities(InitFlags::FUSE_AUTO_INVAL_DATA)
            .is_err()
        {
            if self.dispatcher.is_without_open() {
                let why = "the kernel has no FUSE_AUTO_INVAL_DATA, without which texts would never \
                           be fresh again (mount without --page-cache)";
                return Err(std::io::Error::other(why));
            }
            log::info!("nothing is page-cached on this mount: mount it again for that");
            self.dispatcher.keep_nothing();
        }
        Ok(())
    }

    fn lookup(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let noted = self.note_name(req, opcode::LOOKUP, parent, name);
        let asker = asker(req);
        let Some(aside) = self.dispatcher.aside_to_look_up(parent.0, name, asker) else {
            let found = guarded(|| self.dispatcher.lookup(parent.0, name, asker));
            reply_entry(found, reply);
            return;
        };
        let (dispatcher, name) = (Arc::clone(&self.dispatcher), name.to_owned());
        answer(Some(aside), noted, move || {
            let found = guarded(|| dispatcher.lookup(parent.0, &name, asker));
            reply_entry(found, reply);
        });
    }

    fn forget(&self, _req: &Request, ino: INodeNo, nlookup: u64) {
        self.dispatcher.forget(ino.0, nlookup);
    }

    fn getattr(&self, req: &Request, ino: INodeNo, fh: Option<FileHandle>, reply: ReplyAttr) {
        // stat(2) and fstat(2) name no file; what reads by way of the page cache does.
        let reader = fh.map(|fh| fh.0);
        let noted = self.note_file(req, opcode::GETATTR, ino, fh.unwrap_or(FileHandle(0)));
        let (dispatcher, asker) = (Arc::clone(&self.dispatcher), asker(req));
        let aside = match reader {
            Some(handle) => dispatcher.aside_to_read(ino.0, handle, asker),
            None => dispatcher.aside_in_tree(ino.0, asker),
        };
        answer(aside, noted, move || {
            let found = guarded(|| dispatcher.attributes(ino.0, reader, asker));
            reply_attributes(found, reply);
        });
    }

    /// O_TRUNC and setting times have no effect, as on procfs.
    fn setattr(
        &self,
        req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        _size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change = Change { mode, uid, gid };
        if change == Change::default() {
            self.getattr(req, ino, None, reply);
            return;
        }
        let noted = self.note_node(req, opcode::SETATTR, ino);
        let (dispatcher, asker) = (Arc::clone(&self.dispatcher), asker(req));
        answer(
            self.dispatcher.aside_to_change(ino.0, asker),
            noted,
            move || {
                let changed = guarded(|| dispatcher.change(ino.0, change, asker));
                reply_attributes(changed, reply);
            },
        );
    }

    fn open(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let noted = self.note(
            req,
            opcode::OPEN,
            Noted {
                node: ino.0,
                flags: flags.0.cast_unsigned(),
                ..Noted::default()
            },
        );
        let access = access(flags);
        let (dispatcher, asker) = (Arc::clone(&self.dispatcher), asker(req));
        let (aside, shows) = self.dispatcher.aside_to_open(ino.0, access, asker);
        let open = move || {
            let outcome = guarded(|| dispatcher.open_showing(ino.0, access, asker, shows));
            match outcome {
                Ok((handle, cache)) => reply.opened(FileHandle(handle), opened(cache)),
                Err(errno) => reply.error(errno),
            }
        };
        answer(aside, noted, open);
    }

    fn read(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        flags: OpenFlags,
        lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let noted = self.note(
            req,
            opcode::READ,
            Noted {
                node: ino.0,
                handle: fh.0,
                offset,
                size,
                // All that matters of them, and not those of the open file.
                flags: u32::from(lock_owner.is_some()) * abi::READ_LOCKOWNER,
                ..Noted::default()
            },
        );
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let (opened, asker) = ((fh.0, access(flags)), asker(req));
        // For the page cache: of a page-cached node, or by sendfile(2), splice(2), mmap(2) and read-ahead,
        // which go by it in spite of direct I/O. Such reads name no owner; read(2)'s always do.
        let is_for_page_cache = lock_owner.is_none();
        let read = move |dispatcher: &Dispatcher| {
            answer_data(reply, |send| {
                if is_for_page_cache {
                    return dispatcher.read_page(ino.0, fh.0, (offset, size), asker, send);
                }
                dispatcher.read(ino.0, opened, offset, size, asker, send)
            });
        };
        if let Some(aside) = self.dispatcher.aside_to_read(ino.0, fh.0, asker) {
            let dispatcher = Arc::clone(&self.dispatcher);
            answer(Some(aside), noted, move || read(&dispatcher));
        } else {
            read(&self.dispatcher);
        }
    }

    fn write(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let noted = self.note_file(req, opcode::WRITE, ino, fh);
        let (dispatcher, asker) = (Arc::clone(&self.dispatcher), asker(req));
        if is_sent_again(req) {
            self.dispatcher.write_again(fh.0);
        }
        let (opened, data) = ((fh.0, access(flags)), data.to_vec());
        let aside = self.dispatcher.aside_to_write(ino.0, fh.0, asker);
        answer(aside, noted, move || {
            match guarded(|| dispatcher.write(ino.0, opened, &data, asker)) {
                Ok(taken) => reply.written(u32::try_from(taken).unwrap_or(u32::MAX)),
                Err(errno) => reply.error(errno),
            }
        });
    }

    fn flush(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        let _noted = self.note_file(req, opcode::FLUSH, ino, fh);
        if self.dispatcher.is_without_open() {
            // Then it is not asked for any more.
            reply.error(errno(&DispatchError::NotAsked));
        } else {
            reply.ok();
        }
    }

    fn release(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        let _noted = self.note_file(req, opcode::RELEASE, ino, fh);
        self.dispatcher.close(fh.0);
        reply.ok();
    }

    fn fsync(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let _noted = self.note_file(req, opcode::FSYNC, ino, fh);
        // As procfs, which has no fsync operation.
        reply.error(Errno::EINVAL);
    }

    fn opendir(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let noted = self.note(
            req,
            opcode::OPENDIR,
            Noted {
                node: ino.0,
                flags: flags.0.cast_unsigned(),
                ..Noted::default()
            },
        );
        let (dispatcher, asker) = (Arc::clone(&self.dispatcher), asker(req));
        answer(
            self.dispatcher.aside_in_tree(ino.0, asker),
            noted,
            move || match guarded(|| dispatcher.open_directory(ino.0, asker)) {
                Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
                Err(errno) => reply.error(errno),
            },
        );
    }

    fn readdir(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let _noted = self.note(
            req,
            opcode::READDIR,
            Noted {
                node: ino.0,
                handle: fh.0,
                offset,
                ..Noted::default()
            },
        );
        let outcome = guarded(|| {
            self.dispatcher.read_directory(
                ino.0,
                fh.0,
                offset,
                asker(req),
                |next, number, kind, name| reply.add(INodeNo(number), next, file_type(kind), name),
            )
        });
        match outcome {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        }
    }

    fn releasedir(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        let _noted = self.note_file(req, opcode::RELEASEDIR, ino, fh);
        self.dispatcher.close_directory(fh.0);
        reply.ok();
    }

    fn fsyncdir(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let _noted = self.note_file(req, opcode::FSYNCDIR, ino, fh);
        reply.error(Errno::EINVAL);
    }

    fn statfs(&self, req: &Request, ino: INodeNo, reply: ReplyStatfs) {
        let _noted = self.note_node(req, opcode::STATFS, ino);
        reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096);
    }

    /// Never ENOSYS but on a connection without OPEN: it switches polling off for every file of the mount.
    fn poll(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        ph: PollNotifier,
        events: PollEvents,
        flags: PollFlags,
        reply: ReplyPoll,
    ) {
        let number = ph.handle().0;
        let noted = self.note(
            req,
            opcode::POLL,
            Noted {
                node: ino.0,
                handle: fh.0,
                offset: number,
                size: events.bits(),
                flags: flags.bits(),
                ..Noted::default()
            },
        );
        let wake = || -> Wake {
            Box::new(move || {
                // ENOENT: nobody waits any more.
                if let Err(error) = ph.notify() {
                    log::debug!("waking who polls: {error}");
                }
            })
        };
        let poll = Poll {
            events: events.bits(),
            number,
            wake: flags
                .contains(PollFlags::FUSE_POLL_SCHEDULE_NOTIFY)
                .then(wake),
        };
        let (dispatcher, asker) = (Arc::clone(&self.dispatcher), asker(req));
        let ask = move || match guarded(|| dispatcher.poll(ino.0, fh.0, poll, asker)) {
            Ok(ready) => reply.poll(PollEvents::from_bits_retain(ready)),
            Err(errno) => reply.error(errno),
        };
        let aside = self.dispatcher.aside_to_poll(ino.0, fh.0, asker);
        answer(aside, noted, ask);
    }

    fn ioctl(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: IoctlFlags,
        _cmd: u32,
        _in_data: &[u8],
        _out_size: u32,
        reply: ReplyIoctl,
    ) {
        let _noted = self.note_file(req, opcode::IOCTL, ino, fh);
        reply.error(Errno::ENOTTY);
    }

    // ENOSYS makes the kernel answer EOPNOTSUPP by itself from then on, as procfs does.
    fn getxattr(&self, req: &Request, ino: INodeNo, _name: &OsStr, _size: u32, reply: ReplyXattr) {
        let _noted = self.note_node(req, opcode::GETXATTR, ino);
        reply.error(Errno::ENOSYS);
    }

    fn listxattr(&self, req: &Request, ino: INodeNo, _size: u32, reply: ReplyXattr) {
        let _noted = self.note_node(req, opcode::LISTXATTR, ino);
        reply.error(Errno::ENOSYS);
    }

    fn setxattr(
        &self,
        req: &Request,
        ino: INodeNo,
        _name: &OsStr,
        _value: &[u8],
        _flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        let _noted = self.note_node(req, opcode::SETXATTR, ino);
        reply.error(Errno::ENOSYS);
    }

    fn removexattr(&self, req: &Request, ino: INodeNo, _name: &OsStr, reply: ReplyEmpty) {
        let _noted = self.note_node(req, opcode::REMOVEXATTR, ino);
        reply.error(Errno::ENOSYS);
    }

    fn lseek(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _offset: i64,
        _whence: i32,
        reply: ReplyLseek,
    ) {
        let _noted = self.note_file(req, opcode::LSEEK, ino, fh);
        // SEEK_DATA and SEEK_HOLE, which procfs does not know.
        reply.error(Errno::EINVAL);
    }

    fn mknod(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        let _noted = self.note_name(req, opcode::MKNOD, parent, name);
        reply.error(errno(&DispatchError::ReadOnly));
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let _noted = self.note_name(req, opcode::CREATE, parent, name);
        reply.error(errno(&DispatchError::ReadOnly));
    }

    fn mkdir(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let noted = self.note_name(req, opcode::MKDIR, parent, name);
        let again = is_sent_again(req);
        let mode = mode & !umask;
        let (dispatcher, asker) = (Arc::clone(&self.dispatcher), asker(req));
        let name = name.to_owned();
        answer(
            self.dispatcher.aside_to_change(parent.0, asker),
            noted,
            move || {
                let made = guarded(|| {
                    match dispatcher.make_directory(parent.0, &name, mode, asker) {
                        // By the worker that died before it could say so.
                        Err(error) if again && error.errno() == libc::EEXIST => {
                            dispatcher.lookup(parent.0, &name, asker)
                        }
                        made => made,
                    }
                });
                reply_entry(made, reply);
            },
        );
    }

    fn unlink(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let _noted = self.note_name(req, opcode::UNLINK, parent, name);
        reply.error(errno(&DispatchError::ReadOnly));
    }

    fn rmdir(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let noted = self.note_name(req, opcode::RMDIR, parent, name);
        let again = is_sent_again(req);
        let (dispatcher, asker) = (Arc::clone(&self.dispatcher), asker(req));
        let name = name.to_owned();
        answer(
            self.dispatcher.aside_to_change(parent.0, asker),
            noted,
            move || {
                let removed = guarded(|| {
                    match dispatcher.remove_directory(parent.0, &name, asker) {
                        // By the worker that died before it could say so.
                        Err(error) if again && error.errno() == libc::ENOENT => Ok(()),
                        removed => removed,
                    }
                });
                reply_empty(removed, reply);
            },
        );
    }

    fn link(
        &self,
        req: &Request,
        ino: INodeNo,
        _newparent: INodeNo,
        _newname: &OsStr,
        reply: ReplyEntry,
    ) {
        let _noted = self.note_node(req, opcode::LINK, ino);
        reply.error(errno(&DispatchError::ReadOnly));
    }

    fn symlink(
        &self,
        req: &Request,
        parent: INodeNo,
        _link_name: &OsStr,
        _target: &Path,
        reply: ReplyEntry,
    ) {
        let _noted = self.note_node(req, opcode::SYMLINK, parent);
        reply.error(errno(&DispatchError::ReadOnly));
    }

    fn rename(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _newparent: INodeNo,
        _newname: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let _noted = self.note_name(req, opcode::RENAME, parent, name);
        reply.error(errno(&DispatchError::ReadOnly));
    }

    fn readlink(&self, req: &Request, ino: INodeNo, reply: ReplyData) {
        let noted = self.note_node(req, opcode::READLINK, ino);
        let (dispatcher, asker) = (Arc::clone(&self.dispatcher), asker(req));
        answer(
            self.dispatcher.aside_in_tree(ino.0, asker),
            noted,
            move || {
                let mut target = Vec::new();
                match guarded(|| dispatcher.read_link(ino.0, asker, &mut target)) {
                    Ok(()) => reply.data(&target),
                    Err(errno) => reply.error(errno),
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        let outcome = guarded(|| -> Result<(), DispatchError> { panic!("on purpose") });
        assert_eq!(outcome.unwrap_err().code(), libc::EIO);
    }
}
