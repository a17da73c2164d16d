//! Converts FUSE requests for the dispatcher, and its results to replies.
//!
//! `fuse/guard.rs` records each request, decides where it runs, charges it and catches panics.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use fuser::{
    Errno, FileHandle, Filesystem, FopenFlags, INodeNo, InitFlags, IoctlFlags, KernelConfig,
    LockOwner, OpenFlags, PollEvents, PollFlags, PollNotifier, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen,
    ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use vistafs_handover::{Request as Noted, SENT_AGAIN};
use vistafs_view::{Asker, Change};

use crate::abi::{self, opcode};
use crate::channel::Wake;
use crate::dispatcher::Poll;
use crate::dispatcher::schedule::Asks;
use crate::{DispatchError, Dispatcher};

mod guard;
mod reply;

use guard::{Admission, contained, of_file, of_name, of_node};
pub(crate) use reply::{LASTING, NOT_AT_ALL, access, guarded, kept, opened};
use reply::{
    answer_data, errno, file_type, reply_attributes, reply_empty, reply_entry, report_panic,
};

/// The file system for fuser.
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

/// Returns whether the kernel sent the request to a dead worker before: FUSE_UNIQUE_RESEND.
fn is_sent_again(request: &Request) -> bool {
    request.unique().0 & SENT_AGAIN != 0
}

fn asker(request: &Request) -> Asker {
    Asker {
        tid: request.pid(),
        uid: request.uid(),
        gid: request.gid(),
    }
}

impl Filesystem for VistaFs {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Concurrent look-ups in one directory: a slow one then delays no other. Kernels before 4.7
        // serialise them.
        if config
            .add_capabilities(InitFlags::FUSE_PARALLEL_DIROPS)
            .is_err()
        {
            log::debug!("the kernel has no parallel directory operations");
        }
        // Requests without a waiting system call (RELEASE, page-cache reads) count against this
        // limit. One container must not exhaust it for all.
        if let Err(most) = config.set_max_background(u16::MAX) {
            log::debug!("at most {most} background requests");
        }
        // The kernel drops pages when the modification time changes. A mount that was taken
        // over from a release without this request is served without page caching.
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
        let (asker, wanted) = (asker(req), name.to_owned());
        let asks = Asks::LookUp(parent.0);
        let noted = of_name(opcode::LOOKUP, parent, name);
        self.serve(req, noted, (asks, 0), move |dispatcher, admission| {
            let found = guarded(|| {
                admission?;
                dispatcher.lookup(parent.0, &wanted, asker)
            });
            reply_entry(found, reply);
        });
    }

    fn forget(&self, _req: &Request, ino: INodeNo, nlookup: u64) {
        contained(|| self.dispatcher.forget(ino.0, nlookup));
    }

    fn getattr(&self, req: &Request, ino: INodeNo, fh: Option<FileHandle>, reply: ReplyAttr) {
        // stat(2) and fstat(2) pass no handle; reads through the page cache do.
        let (asker, reader) = (asker(req), fh.map(|fh| fh.0));
        let asks = Asks::Attributes(ino.0, reader);
        let noted = of_file(opcode::GETATTR, ino, fh.unwrap_or(FileHandle(0)));
        self.serve(req, noted, (asks, 0), move |dispatcher, admission| {
            let found = guarded(|| {
                admission?;
                dispatcher.attributes(ino.0, reader, asker)
            });
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
        let asker = asker(req);
        let (asks, noted) = (Asks::Change(ino.0), of_node(opcode::SETATTR, ino));
        self.serve(req, noted, (asks, 0), move |dispatcher, admission| {
            let changed = guarded(|| {
                admission?;
                dispatcher.change(ino.0, change, asker)
            });
            reply_attributes(changed, reply);
        });
    }

    fn open(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let noted = Noted {
            flags: flags.0.cast_unsigned(),
            ..of_node(opcode::OPEN, ino)
        };
        let (access, asker) = (access(flags), asker(req));
        let asks = Asks::Open(ino.0, access);
        self.serve(req, noted, (asks, 0), move |dispatcher, admission| {
            let outcome = guarded(|| {
                admission?;
                dispatcher.open(ino.0, access, asker)
            });
            match outcome {
                Ok((handle, cache)) => reply.opened(FileHandle(handle), opened(cache)),
                Err(errno) => reply.error(errno),
            }
        });
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
        let noted = Noted {
            offset,
            size,
            // The only flag that matters here, not the flags of the open file.
            flags: u32::from(lock_owner.is_some()) * abi::READ_LOCKOWNER,
            ..of_file(opcode::READ, ino, fh)
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let (opened, asker) = ((fh.0, access(flags)), asker(req));
        // For the page cache: a page-cached node, or sendfile(2), splice(2), mmap(2), read-ahead,
        // which use it despite direct I/O. Such reads have no lock owner; read(2) always has one.
        let for_page_cache = lock_owner.is_none();
        let asks = Asks::Read {
            node: ino.0,
            handle: fh.0,
            for_page_cache,
        };
        self.serve(req, noted, (asks, 0), move |dispatcher, admission| {
            answer_data(reply, |send| {
                let file = admission?.file;
                if for_page_cache {
                    return dispatcher.read_page(ino.0, fh.0, (offset, size), asker, send);
                }
                dispatcher.read_of(file, ino.0, opened, (offset, size), asker, send)
            });
        });
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
        let (asker, again) = (asker(req), is_sent_again(req));
        let (opened, data) = ((fh.0, access(flags)), data.to_vec());
        let asks = (Asks::Write(ino.0, fh.0), data.len());
        let noted = of_file(opcode::WRITE, ino, fh);
        self.serve(req, noted, asks, move |dispatcher, admission| {
            let taken = guarded(|| {
                admission?;
                if again {
                    dispatcher.write_again(fh.0);
                }
                dispatcher.write(ino.0, opened, &data, asker)
            });
            match taken {
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
        self.serve_at_once(req, of_file(opcode::FLUSH, ino, fh), move |dispatcher| {
            if dispatcher.is_without_open() {
                // The kernel then sends no further FLUSH.
                reply.error(errno(&DispatchError::NotAsked));
            } else {
                reply.ok();
            }
        });
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
        let noted = of_file(opcode::RELEASE, ino, fh);
        let close = move |dispatcher: &Dispatcher, _: Admission| {
            dispatcher.close(fh.0);
            reply.ok();
        };
        self.serve(req, noted, (Asks::Close(fh.0), 0), close);
    }

    fn fsync(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        // Like procfs, which has no fsync operation.
        let refuse = move |_: &Dispatcher| reply.error(Errno::EINVAL);
        self.serve_at_once(req, of_file(opcode::FSYNC, ino, fh), refuse);
    }

    fn opendir(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let noted = Noted {
            flags: flags.0.cast_unsigned(),
            ..of_node(opcode::OPENDIR, ino)
        };
        let asker = asker(req);
        let asks = Asks::List(ino.0);
        self.serve(req, noted, (asks, 0), move |dispatcher, admission| {
            let opened = guarded(|| {
                admission?;
                dispatcher.open_directory(ino.0, asker)
            });
            match opened {
                Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
                Err(errno) => reply.error(errno),
            }
        });
    }

    fn readdir(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let noted = Noted {
            offset,
            ..of_file(opcode::READDIR, ino, fh)
        };
        let asker = asker(req);
        let asks = Asks::ListOn(ino.0, fh.0);
        self.serve(req, noted, (asks, 0), move |dispatcher, admission| {
            let mut add = |next, number, kind, name: &OsStr| {
                reply.add(INodeNo(number), next, file_type(kind), name)
            };
            let outcome = guarded(|| {
                admission?;
                dispatcher.read_directory(ino.0, fh.0, offset, asker, &mut add)
            });
            match outcome {
                Ok(()) => reply.ok(),
                Err(errno) => reply.error(errno),
            }
        });
    }

    fn releasedir(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        let noted = of_file(opcode::RELEASEDIR, ino, fh);
        self.serve_at_once(req, noted, move |dispatcher| {
            dispatcher.close_directory(fh.0);
            reply.ok();
        });
    }

    fn fsyncdir(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let refuse = move |_: &Dispatcher| reply.error(Errno::EINVAL);
        self.serve_at_once(req, of_file(opcode::FSYNCDIR, ino, fh), refuse);
    }

    fn statfs(&self, req: &Request, ino: INodeNo, reply: ReplyStatfs) {
        let tell = move |_: &Dispatcher| reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096);
        self.serve_at_once(req, of_node(opcode::STATFS, ino), tell);
    }

    /// Returns ENOSYS only on a connection without OPEN: it disables polling for the whole mount.
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
        let noted = Noted {
            offset: number,
            size: events.bits(),
            flags: flags.bits(),
            ..of_file(opcode::POLL, ino, fh)
        };
        let wake = || -> Wake {
            Box::new(move || {
                // ENOENT: no caller waits any more.
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
        let asker = asker(req);
        let asks = Asks::Poll(ino.0, fh.0);
        self.serve(req, noted, (asks, 0), move |dispatcher, admission| {
            let ready = guarded(|| {
                admission?;
                dispatcher.poll(ino.0, fh.0, poll, asker)
            });
            match ready {
                Ok(ready) => reply.poll(PollEvents::from_bits_retain(ready)),
                Err(errno) => reply.error(errno),
            }
        });
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
        let refuse = move |_: &Dispatcher| reply.error(Errno::ENOTTY);
        self.serve_at_once(req, of_file(opcode::IOCTL, ino, fh), refuse);
    }

    // ENOSYS makes the kernel return EOPNOTSUPP itself from then on, as procfs does.
    fn getxattr(&self, req: &Request, ino: INodeNo, _name: &OsStr, _size: u32, reply: ReplyXattr) {
        let refuse = move |_: &Dispatcher| reply.error(Errno::ENOSYS);
        self.serve_at_once(req, of_node(opcode::GETXATTR, ino), refuse);
    }

    fn listxattr(&self, req: &Request, ino: INodeNo, _size: u32, reply: ReplyXattr) {
        let refuse = move |_: &Dispatcher| reply.error(Errno::ENOSYS);
        self.serve_at_once(req, of_node(opcode::LISTXATTR, ino), refuse);
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
        let refuse = move |_: &Dispatcher| reply.error(Errno::ENOSYS);
        self.serve_at_once(req, of_node(opcode::SETXATTR, ino), refuse);
    }

    fn removexattr(&self, req: &Request, ino: INodeNo, _name: &OsStr, reply: ReplyEmpty) {
        let refuse = move |_: &Dispatcher| reply.error(Errno::ENOSYS);
        self.serve_at_once(req, of_node(opcode::REMOVEXATTR, ino), refuse);
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
        // SEEK_DATA and SEEK_HOLE, which procfs does not support.
        let refuse = move |_: &Dispatcher| reply.error(Errno::EINVAL);
        self.serve_at_once(req, of_file(opcode::LSEEK, ino, fh), refuse);
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
        let refuse = move |_: &Dispatcher| reply.error(errno(&DispatchError::ReadOnly));
        self.serve_at_once(req, of_name(opcode::MKNOD, parent, name), refuse);
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
        let refuse = move |_: &Dispatcher| reply.error(errno(&DispatchError::ReadOnly));
        self.serve_at_once(req, of_name(opcode::CREATE, parent, name), refuse);
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
        let (asker, again, wanted) = (asker(req), is_sent_again(req), name.to_owned());
        let mode = mode & !umask;
        let asks = Asks::Change(parent.0);
        let noted = of_name(opcode::MKDIR, parent, name);
        self.serve(req, noted, (asks, 0), move |dispatcher, admission| {
            let made = guarded(|| {
                admission?;
                match dispatcher.make_directory(parent.0, &wanted, mode, asker) {
                    // Created by the worker that died before its reply.
                    Err(error) if again && error.errno() == libc::EEXIST => {
                        dispatcher.lookup(parent.0, &wanted, asker)
                    }
                    made => made,
                }
            });
            reply_entry(made, reply);
        });
    }

    fn unlink(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let refuse = move |_: &Dispatcher| reply.error(errno(&DispatchError::ReadOnly));
        self.serve_at_once(req, of_name(opcode::UNLINK, parent, name), refuse);
    }

    fn rmdir(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let (asker, again, wanted) = (asker(req), is_sent_again(req), name.to_owned());
        let asks = Asks::Change(parent.0);
        let noted = of_name(opcode::RMDIR, parent, name);
        self.serve(req, noted, (asks, 0), move |dispatcher, admission| {
            let removed = guarded(|| {
                admission?;
                match dispatcher.remove_directory(parent.0, &wanted, asker) {
                    // Removed by the worker that died before its reply.
                    Err(error) if again && error.errno() == libc::ENOENT => Ok(()),
                    removed => removed,
                }
            });
            reply_empty(removed, reply);
        });
    }

    fn link(
        &self,
        req: &Request,
        ino: INodeNo,
        _newparent: INodeNo,
        _newname: &OsStr,
        reply: ReplyEntry,
    ) {
        let refuse = move |_: &Dispatcher| reply.error(errno(&DispatchError::ReadOnly));
        self.serve_at_once(req, of_node(opcode::LINK, ino), refuse);
    }

    fn symlink(
        &self,
        req: &Request,
        parent: INodeNo,
        _link_name: &OsStr,
        _target: &Path,
        reply: ReplyEntry,
    ) {
        let refuse = move |_: &Dispatcher| reply.error(errno(&DispatchError::ReadOnly));
        self.serve_at_once(req, of_node(opcode::SYMLINK, parent), refuse);
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
        let refuse = move |_: &Dispatcher| reply.error(errno(&DispatchError::ReadOnly));
        self.serve_at_once(req, of_name(opcode::RENAME, parent, name), refuse);
    }

    fn readlink(&self, req: &Request, ino: INodeNo, reply: ReplyData) {
        let asker = asker(req);
        let (asks, noted) = (Asks::ReadLink(ino.0), of_node(opcode::READLINK, ino));
        self.serve(req, noted, (asks, 0), move |dispatcher, admission| {
            let mut target = Vec::new();
            let read = guarded(|| {
                admission?;
                dispatcher.read_link(ino.0, asker, &mut target)
            });
            match read {
                Ok(()) => reply.data(&target),
                Err(errno) => reply.error(errno),
            }
        });
    }
}
