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
    IoctlFlags, KernelConfig, LockOwner, OpenFlags, PollEvents, PollFlags, PollNotifier,
    RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyIoctl, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr, Request,
    TimeOrNow, WriteFlags,
};

use crate::{Asker, Attributes, DispatchError, Dispatcher, Kind};

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
    }
}

fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::Directory => FileType::Directory,
        Kind::File => FileType::RegularFile,
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
            Kind::Directory => 2,
            Kind::File => 1,
        },
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
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
        match guarded(|| self.dispatcher.lookup(parent.0, name, asker(req))) {
            Ok(entry) => {
                let name_ttl = if entry.lasting { LASTING } else { NOT_AT_ALL };
                reply.entry_with_ttls(
                    &ATTRIBUTES,
                    &name_ttl,
                    &attr(&entry.attributes),
                    Generation(0),
                );
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn forget(&self, _req: &Request, ino: INodeNo, nlookup: u64) {
        self.dispatcher.forget(ino.0, nlookup);
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        match guarded(|| self.dispatcher.attributes(ino.0)) {
            Ok(attributes) => reply.attr(&ATTRIBUTES, &attr(&attributes)),
            Err(errno) => reply.error(errno),
        }
    }

    /// O_TRUNC and setting times have no effect, as on procfs; the rest is refused.
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
        if mode.is_some() || uid.is_some() || gid.is_some() {
            reply.error(errno(&DispatchError::ReadOnly));
        } else {
            self.getattr(req, ino, fh, reply);
        }
    }

    fn open(&self, req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        // Direct I/O: no page cache that two containers could share. No flush: nothing to write.
        let flags = FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_NOFLUSH;
        match guarded(|| self.dispatcher.open(ino.0, asker(req))) {
            Ok(handle) => reply.opened(FileHandle(handle), flags),
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
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
            self.dispatcher
                .read(ino.0, fh.0, offset, size, asker(req), |bytes| {
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
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _offset: u64,
        _data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        reply.error(errno(&DispatchError::NotWritable));
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

    /// Always ready, as a /proc file without a poll operation. Never ENOSYS: that would switch
    /// polling off for every file of the mount.
    fn poll(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _ph: PollNotifier,
        events: PollEvents,
        _flags: PollFlags,
        reply: ReplyPoll,
    ) {
        let ready = PollEvents::POLLIN
            | PollEvents::POLLOUT
            | PollEvents::POLLRDNORM
            | PollEvents::POLLWRNORM;
        reply.poll(events & ready);
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
        _req: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        reply.error(errno(&DispatchError::ReadOnly));
    }

    fn unlink(&self, _req: &Request, _parent: INodeNo, _name: &OsStr, reply: ReplyEmpty) {
        reply.error(errno(&DispatchError::ReadOnly));
    }

    fn rmdir(&self, _req: &Request, _parent: INodeNo, _name: &OsStr, reply: ReplyEmpty) {
        reply.error(errno(&DispatchError::ReadOnly));
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

    fn readlink(&self, _req: &Request, _ino: INodeNo, reply: ReplyData) {
        reply.error(Errno::EINVAL);
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
