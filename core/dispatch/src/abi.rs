//! The part of the kernel's FUSE protocol that fuser does not implement.
//!
//! Numbers and layouts of `include/uapi/linux/fuse.h`, protocol 7.

use std::ffi::OsStr;
use std::time::{Duration, SystemTime};

use vistafs_view::NodeKind;

use crate::{Attributes, Entry};

/// Operations: `enum fuse_opcode`.
pub(crate) mod opcode {
    pub(crate) const LOOKUP: u32 = 1;
    pub(crate) const GETATTR: u32 = 3;
    pub(crate) const SETATTR: u32 = 4;
    pub(crate) const READLINK: u32 = 5;
    pub(crate) const SYMLINK: u32 = 6;
    pub(crate) const MKNOD: u32 = 8;
    pub(crate) const MKDIR: u32 = 9;
    pub(crate) const UNLINK: u32 = 10;
    pub(crate) const RMDIR: u32 = 11;
    pub(crate) const RENAME: u32 = 12;
    pub(crate) const LINK: u32 = 13;
    pub(crate) const OPEN: u32 = 14;
    pub(crate) const READ: u32 = 15;
    pub(crate) const WRITE: u32 = 16;
    pub(crate) const STATFS: u32 = 17;
    pub(crate) const RELEASE: u32 = 18;
    pub(crate) const FSYNC: u32 = 20;
    pub(crate) const SETXATTR: u32 = 21;
    pub(crate) const GETXATTR: u32 = 22;
    pub(crate) const LISTXATTR: u32 = 23;
    pub(crate) const REMOVEXATTR: u32 = 24;
    pub(crate) const FLUSH: u32 = 25;
    pub(crate) const OPENDIR: u32 = 27;
    pub(crate) const READDIR: u32 = 28;
    pub(crate) const RELEASEDIR: u32 = 29;
    pub(crate) const FSYNCDIR: u32 = 30;
    pub(crate) const CREATE: u32 = 35;
    pub(crate) const IOCTL: u32 = 39;
    pub(crate) const POLL: u32 = 40;
    pub(crate) const LSEEK: u32 = 46;
}

/// The request names a lock owner, as all requests from read(2) do.
pub(crate) const READ_LOCKOWNER: u32 = 1 << 1;

/// Returns a `struct fuse_out_header` for a reply with `length` bytes.
pub(crate) fn reply(unique: u64, errno: i32, length: usize) -> [u8; 16] {
    let mut header = [0; 16];
    let length = u32::try_from(length.saturating_add(16)).unwrap_or(u32::MAX);
    header[..4].copy_from_slice(&length.to_ne_bytes());
    header[4..8].copy_from_slice(&errno.saturating_neg().to_ne_bytes());
    header[8..].copy_from_slice(&unique.to_ne_bytes());
    header
}

/// Returns a FUSE_NOTIFY_POLL notification, upon which the kernel polls the file again, with its ID
/// of the open file (`struct fuse_notify_poll_wakeup_out`).
pub(crate) fn wake_up(number: u64) -> [u8; 24] {
    let mut notification = [0; 24];
    notification[..4].copy_from_slice(&24_u32.to_ne_bytes());
    notification[4..8].copy_from_slice(&1_i32.to_ne_bytes());
    notification[16..].copy_from_slice(&number.to_ne_bytes());
    notification
}

/// Appends a `struct fuse_entry_out`.
pub(crate) fn push_entry(out: &mut Vec<u8>, entry: &Entry, name: Duration, attributes: Duration) {
    push_u64s(out, &[entry.attributes.number, 0]);
    push_u64s(out, &[name.as_secs(), attributes.as_secs()]);
    push_u32s(out, &[name.subsec_nanos(), attributes.subsec_nanos()]);
    push_attributes(out, &entry.attributes);
}

/// Appends a `struct fuse_attr_out`.
pub(crate) fn push_attr(out: &mut Vec<u8>, attributes: &Attributes, lasting: Duration) {
    push_u64s(out, &[lasting.as_secs()]);
    push_u32s(out, &[lasting.subsec_nanos(), 0]);
    push_attributes(out, attributes);
}

/// Appends a `struct fuse_attr`.
fn push_attributes(out: &mut Vec<u8>, attributes: &Attributes) {
    let modified = attributes.modified();
    let now = modified.duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let (kind, links) = match attributes.kind {
        NodeKind::Directory => (libc::S_IFDIR, 2),
        NodeKind::File => (libc::S_IFREG, 1),
        NodeKind::Link => (libc::S_IFLNK, 1),
    };
    push_u64s(out, &[attributes.number, attributes.size, 0]);
    push_u64s(out, &[now.as_secs(); 3]);
    push_u32s(out, &[now.subsec_nanos(); 3]);
    push_u32s(out, &[kind | u32::from(attributes.mode), links]);
    push_u32s(out, &[attributes.uid, attributes.gid, 0, 4096, 0]);
}

/// Appends a `struct fuse_open_out`.
pub(crate) fn push_open(out: &mut Vec<u8>, handle: u64, flags: u32) {
    push_u64s(out, &[handle]);
    push_u32s(out, &[flags, 0]);
}

/// Appends a `struct fuse_poll_out`.
pub(crate) fn push_poll(out: &mut Vec<u8>, ready: u32) {
    push_u32s(out, &[ready, 0]);
}

/// Appends an empty `struct fuse_statfs_out`.
pub(crate) fn push_statfs(out: &mut Vec<u8>) {
    push_u64s(out, &[0; 5]);
    push_u32s(out, &[4096, 255, 4096, 0, 0, 0, 0, 0, 0, 0]);
}

/// Appends a `struct fuse_dirent` if it fits in `most` bytes.
pub(crate) fn push_dirent(
    out: &mut Vec<u8>,
    most: usize,
    (next, number, kind, name): (u64, u64, NodeKind, &OsStr),
) -> bool {
    let name = name.as_encoded_bytes();
    let padded = name.len().next_multiple_of(8);
    let Ok(length) = u32::try_from(name.len()) else {
        return false;
    };
    if out.len() + 24 + padded > most {
        return false;
    }
    let kind = match kind {
        NodeKind::Directory => libc::DT_DIR,
        NodeKind::File => libc::DT_REG,
        NodeKind::Link => libc::DT_LNK,
    };
    push_u64s(out, &[number, next]);
    push_u32s(out, &[length, u32::from(kind)]);
    out.extend_from_slice(name);
    out.resize(out.len() + padded - name.len(), 0);
    true
}

fn push_u64s(out: &mut Vec<u8>, numbers: &[u64]) {
    out.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
}

fn push_u32s(out: &mut Vec<u8>, numbers: &[u32]) {
    out.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_have_the_kernel_s_lengths() {
        let attributes = Attributes {
            number: 5,
            kind: NodeKind::File,
            mode: 0o444,
            uid: 1,
            gid: 2,
            size: 3,
            changeable: false,
            freshness: None,
        };
        let entry = Entry {
            attributes,
            lasting: true,
        };
        let length = |push: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            push(&mut out);
            out.len()
        };
        let second = Duration::from_secs(1);
        assert_eq!(length(&|out| push_entry(out, &entry, second, second)), 128);
        assert_eq!(length(&|out| push_attr(out, &attributes, second)), 104);
        assert_eq!(length(&|out| push_open(out, 1, 2)), 16);
        assert_eq!(length(&|out| push_poll(out, 1)), 8);
        assert_eq!(length(&push_statfs), 80);
        let mut out = Vec::new();
        let name = OsStr::new("meminfo..");
        let mut push = |most| push_dirent(&mut out, most, (1, 2, NodeKind::File, name));
        assert!(!push(39));
        assert!(push(40));
        assert!(!push(79));
        assert_eq!(out.len(), 40);
        assert_eq!(reply(7, libc::EINTR, 0)[4..8], (-libc::EINTR).to_ne_bytes());
    }
}
