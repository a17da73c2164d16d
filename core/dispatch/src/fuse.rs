//! FUSE requests to the dispatcher and its answers back: converts, and nothing else.
//!
//! A panic would end fuser's event loop for good, so each request runs under `catch_unwind`; the
//! reply that it drops is answered with EIO by fuser.

use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    IoctlFlags, KernelConfig, LockOwner, OpenAccMode, OpenFlags, PollEvents, PollFlags,
    PollNotifier, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr,
    Request, TimeOrNow, WriteFlags,
};

use vistafs_view::{Access, Asker, Change, NodeKind};

use crate::aside::Aside;
use crate::channel::Wake;
use crate::dispatcher::Poll;
use crate::{Attributes, DispatchError, Dispatcher, Entry};

/// How long the kernel may keep a name that never changes.
const LASTING: Duration = Duration::from_secs(3600);
/// How long the kernel may keep attributes: times are "now", so not long.
const ATTRIBUTES: Duration = Duration::from_secs(1);
const NOT_AT_ALL: Duration = Duration::ZERO;

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
fn guarded<T>(request: impl FnOnce() -> Result<T, DispatchError>) -> Result<T, Errno> {
    let outcome = catch_unwind(AssertUnwindSafe(request)).unwrap_or_else(|_| {
        // The panic's own message has been printed by the panic hook.
        log::error!("a request has panicked; its caller gets EIO. Please report this");
        Err(DispatchError::Panic)
    });
    outcome.map_err(|error| errno(&error))
}

fn errno(error: &DispatchError) -> Errno {
    Errno::from_i32(error.errno())
}

fn asker(request: &Request) -> Asker {
    Asker {
        tid: request.pid(),
        uid: request.uid(),
        gid: request.gid(),
    }
}

fn access(flags: OpenFlags) -> Access {
    Access {
        read: flags.acc_mode() != OpenAccMode::O_WRONLY,
        write: flags.acc_mode() != OpenAccMode::O_RDONLY,
    }
}

/// How long the kernel may keep attributes.
fn kept(attributes: &Attributes) -> &Duration {
    if attributes.changeable {
        &NOT_AT_ALL
    } else {
        &ATTRIBUTES
    }
}

fn reply_attributes(found: Result<Attributes, Errno>, reply: ReplyAttr) {
    match found {
        Ok(attributes) => reply.attr(kept(&attributes), &attr(&attributes)),
        Err(errno) => reply.error(errno),
    }
}

/// Answers now, or aside where that may take long.
fn answer(aside: Option<Arc<Aside>>, answer: impl FnOnce() + Send + 'static) {
    match aside {
        Some(aside) => aside.give(answer),
        None => answer(),
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
    let now = SystemTime::now();
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
            reply.entry_with_ttls(kept, &name_ttl, &attr, Generation(0));
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
        Ok(())
    }

    fn lookup(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = guarded(|| self.dispatcher.lookup(parent.0, name, asker(req)));
        reply_entry(found, reply);
    }

    fn forget(&self, _req: &Request, ino: INodeNo, nlookup: u64) {
        self.dispatcher.forget(ino.0, nlookup);
    }

    fn getattr(&self, req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        let found = guarded(|| self.dispatcher.attributes(ino.0, asker(req)));
        reply_attributes(found, reply);
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
        fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change = Change { mode, uid, gid };
        if change == Change::default() {
            self.getattr(req, ino, fh, reply);
            return;
        }
        let (dispatcher, asker) = (Arc::clone(&self.dispatcher), asker(req));
        answer(self.dispatcher.aside_to_change(ino.0, asker), move || {
            let changed = guarded(|| dispatcher.change(ino.0, change, asker));
            reply_attributes(changed, reply);
        });
    }

    fn open(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        // Direct I/O: no page cache that two containers could share. No flush: no write is kept back.
        let how = FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_NOFLUSH;
        let access = access(flags);
        let (dispatcher, asker) = (Arc::clone(&self.dispatcher), asker(req));
        let open = move || match guarded(|| dispatcher.open(ino.0, access, asker)) {
            Ok(handle) => reply.opened(FileHandle(handle), how),
            Err(errno) => reply.error(errno),
        };
        answer(self.dispatcher.aside_to_open(ino.0, access, asker), open);
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
        // sendfile(2), splice(2), mmap(2) and read-ahead go by the page cache in spite of direct
        // I/O, and that is one for all containers. Their reads name no owner; read(2)'s always do.
        if lock_owner.is_none() {
            reply.error(errno(&DispatchError::NotCacheable));
            return;
        }
        let mut reply = Some(reply);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let outcome = guarded(|| {
            let opened = (fh.0, access(flags));
            self.dispatcher
                .read(ino.0, opened, offset, size, asker(req), |bytes| {
                    if let Some(reply) = reply.take() {
                        reply.data(bytes);
                    }
                })
        });
        if let (Err(errno), Some(reply)) = (outcome, reply) {
            reply.error(errno);
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
        let (dispatcher, asker) = (Arc::clone(&self.dispatcher), asker(req));
        let (opened, data) = ((fh.0, access(flags)), data.to_vec());
        let aside = self.dispatcher.aside_to_write(ino.0, fh.0, asker);
        answer(aside, move || {
            match guarded(|| dispatcher.write(ino.0, opened, &data, asker)) {
                Ok(taken) => reply.written(u32::try_from(taken).unwrap_or(u32::MAX)),
                Err(errno) => reply.error(errno),
            }
        });
    }

    fn flush(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn release(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.dispatcher.close(fh.0);
        reply.ok();
    }

    fn fsync(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        // As procfs, which has no fsync operation.
        reply.error(Errno::EINVAL);
    }

    fn opendir(&self, req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        match guarded(|| self.dispatcher.open_directory(ino.0, asker(req))) {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
            Err(errno) => reply.error(errno),
        }
    }

    fn readdir(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
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
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.dispatcher.close_directory(fh.0);
        reply.ok();
    }

    fn fsyncdir(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EINVAL);
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096);
    }

    /// Never ENOSYS: that would switch polling off for every file of the mount.
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
            wake: flags
                .contains(PollFlags::FUSE_POLL_SCHEDULE_NOTIFY)
                .then(wake),
        };
        let (dispatcher, asker) = (Arc::clone(&self.dispatcher), asker(req));
        let ask = move || match guarded(|| dispatcher.poll(ino.0, fh.0, poll, asker)) {
            Ok(ready) => reply.poll(PollEvents::from_bits_retain(ready)),
            Err(errno) => reply.error(errno),
        };
        answer(self.dispatcher.aside_to_poll(fh.0), ask);
    }

    fn ioctl(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _flags: IoctlFlags,
        _cmd: u32,
        _in_data: &[u8],
        _out_size: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }

    // ENOSYS makes the kernel answer EOPNOTSUPP by itself from then on, as procfs does.
    fn getxattr(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _name: &OsStr,
        _size: u32,
        reply: ReplyXattr,
    ) {
        reply.error(Errno::ENOSYS);
    }

    fn listxattr(&self, _req: &Request, _ino: INodeNo, _size: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }

    fn setxattr(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _name: &OsStr,
        _value: &[u8],
        _flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::ENOSYS);
    }

    fn removexattr(&self, _req: &Request, _ino: INodeNo, _name: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn lseek(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _offset: i64,
        _whence: i32,
        reply: ReplyLseek,
    ) {
        // SEEK_DATA and SEEK_HOLE, which procfs does not know.
        reply.error(Errno::EINVAL);
    }

    fn mknod(
        &self,
        _req: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        reply.error(errno(&DispatchError::ReadOnly));
    }

    fn create(
        &self,
        _req: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
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
        let mode = mode & !umask;
        let (dispatcher, asker) = (Arc::clone(&self.dispatcher), asker(req));
        let name = name.to_owned();
        answer(
            self.dispatcher.aside_to_change(parent.0, asker),
            move || {
                let made = guarded(|| dispatcher.make_directory(parent.0, &name, mode, asker));
                reply_entry(made, reply);
            },
        );
    }

    fn unlink(&self, _req: &Request, _parent: INodeNo, _name: &OsStr, reply: ReplyEmpty) {
        reply.error(errno(&DispatchError::ReadOnly));
    }

    fn rmdir(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let (dispatcher, asker) = (Arc::clone(&self.dispatcher), asker(req));
        let name = name.to_owned();
        answer(
            self.dispatcher.aside_to_change(parent.0, asker),
            move || {
                let removed = guarded(|| dispatcher.remove_directory(parent.0, &name, asker));
                reply_empty(removed, reply);
            },
        );
    }

    fn rename(
        &self,
        _req: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _newparent: INodeNo,
        _newname: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        reply.error(errno(&DispatchError::ReadOnly));
    }

    fn readlink(&self, req: &Request, ino: INodeNo, reply: ReplyData) {
        let mut target = Vec::new();
        match guarded(|| self.dispatcher.read_link(ino.0, asker(req), &mut target)) {
            Ok(()) => reply.data(&target),
            Err(errno) => reply.error(errno),
        }
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
