//! Converts results of the dispatcher to replies, and errors and panics to errno.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use fuser::{
    Errno, FileAttr, FileType, FopenFlags, Generation, INodeNo, OpenAccMode, OpenFlags, ReplyAttr,
    ReplyData, ReplyEmpty, ReplyEntry,
};
use vistafs_view::{Access, NodeKind};

use crate::{Attributes, DispatchError, Entry, PageCache};

/// How long the kernel may cache a name that never changes.
pub(crate) const LASTING: Duration = Duration::from_secs(3600);
/// How long the kernel may cache attributes: their times are "now", so not long.
pub(crate) const ATTRIBUTES: Duration = Duration::from_secs(1);
pub(crate) const NOT_AT_ALL: Duration = Duration::ZERO;
/// No FLUSH: no write is buffered. Direct I/O: two containers must not share a page cache; a
/// container's own node has its own pages.
pub(crate) fn opened(page_cache: PageCache) -> FopenFlags {
    let cache = match page_cache {
        PageCache::Bypassed => FopenFlags::FOPEN_DIRECT_IO,
        PageCache::Renewed => FopenFlags::empty(),
        PageCache::Kept => FopenFlags::FOPEN_KEEP_CACHE,
    };
    cache | FopenFlags::FOPEN_NOFLUSH
}

/// Runs a request; logs a panic and returns it as an error.
pub(crate) fn guarded<T>(request: impl FnOnce() -> Result<T, DispatchError>) -> Result<T, Errno> {
    let outcome = catch_unwind(AssertUnwindSafe(request)).unwrap_or_else(|_| {
        report_panic();
        Err(DispatchError::Panic)
    });
    outcome.map_err(|error| errno(&error))
}

/// Logs a panic, after the panic hook has printed its message.
pub(super) fn report_panic() {
    log::error!(
        "a request has panicked; its caller gets EIO (please report it, with the lines above)"
    );
}

pub(super) fn errno(error: &DispatchError) -> Errno {
    Errno::from_i32(error.errno())
}

pub(crate) fn access(flags: OpenFlags) -> Access {
    Access {
        read: flags.acc_mode() != OpenAccMode::O_WRONLY,
        write: flags.acc_mode() != OpenAccMode::O_RDONLY,
    }
}

/// Returns how long the kernel may cache attributes.
pub(crate) fn kept(attributes: &Attributes) -> Duration {
    match attributes.freshness {
        Some(fresh) => fresh.left,
        None if attributes.changeable => NOT_AT_ALL,
        None => ATTRIBUTES,
    }
}

pub(super) fn reply_attributes(found: Result<Attributes, Errno>, reply: ReplyAttr) {
    match found {
        Ok(attributes) => reply.attr(&kept(&attributes), &attr(&attributes)),
        Err(errno) => reply.error(errno),
    }
}

/// Sends the data or the error.
pub(super) fn answer_data(
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

pub(super) fn file_type(kind: NodeKind) -> FileType {
    match kind {
        NodeKind::Directory => FileType::Directory,
        NodeKind::File => FileType::RegularFile,
        NodeKind::Link => FileType::Symlink,
    }
}

pub(super) fn attr(attributes: &Attributes) -> FileAttr {
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

pub(super) fn reply_entry(found: Result<Entry, Errno>, reply: ReplyEntry) {
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

pub(super) fn reply_empty(outcome: Result<(), Errno>, reply: ReplyEmpty) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
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
