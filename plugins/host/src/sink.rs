//! The output of a call: a text, or the entries of a directory; both bounded.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use parking_lot::Mutex;
use vistafs_plugin_abi as abi;
use vistafs_view::{Errno, NodeId, NodeKind};

/// Maximum number of entries of a directory.
const MOST_ENTRIES: usize = 1 << 16;
/// NAME_MAX.
const LONGEST_NAME: usize = 255;

/// Output buffer of a text.
#[derive(Debug)]
pub(crate) struct Text {
    most: usize,
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    bytes: Vec<u8>,
    is_over: bool,
}

impl Text {
    /// Accepts at most `most` bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            written: Mutex::default(),
        }
    }

    pub(crate) fn most(&self) -> usize {
        self.most
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Errno> {
        let mut written = self.written.lock();
        if written.is_over || bytes.len() > self.most - written.bytes.len() {
            written.is_over = true;
            return Err(Errno::FBIG);
        }
        written.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Only [`Text::of`] may dereference it.
    pub(crate) fn as_sink(&self) -> *mut abi::Sink {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// The inverse of [`Text::as_sink`].
    ///
    /// # Safety
    /// The pointer is null or from `as_sink`, and still valid.
    pub(crate) unsafe fn of<'t>(sink: *mut abi::Sink) -> Result<&'t Self, Errno> {
        // SAFETY: what the caller promises.
        unsafe { sink.cast_const().cast::<Self>().as_ref() }.ok_or(Errno::FAULT)
    }

    /// The whole text. `None`: it exceeded the limit.
    pub(crate) fn into_bytes(self) -> Option<Vec<u8>> {
        let written = self.written.into_inner();
        (!written.is_over).then_some(written.bytes)
    }
}

/// An entry of a directory.
pub(crate) type Entry = (OsString, NodeId, NodeKind);

/// Output list of the entries of a directory.
#[derive(Debug, Default)]
pub(crate) struct Listing(Mutex<Vec<Entry>>);

impl Listing {
    pub(crate) fn add(&self, name: &[u8], id: u64, kind: u32) -> Result<(), Errno> {
        let is_name = !matches!(name, b"" | b"." | b"..")
            && name.len() <= LONGEST_NAME
            && !name.iter().any(|byte| matches!(byte, b'/' | 0));
        let (true, Some(id), Some(kind)) = (is_name, NodeId::new(id), kind_of(kind)) else {
            return Err(Errno::INVAL);
        };
        let mut entries = self.0.lock();
        if entries.len() >= MOST_ENTRIES {
            return Err(Errno::FBIG);
        }
        entries.push((OsString::from_vec(name.to_vec()), id, kind));
        Ok(())
    }

    /// Only [`Listing::of`] may dereference it.
    pub(crate) fn as_listing(&self) -> *mut abi::Listing {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// The inverse of [`Listing::as_listing`].
    ///
    /// # Safety
    /// The pointer is null or from `as_listing`, and still valid.
    pub(crate) unsafe fn of<'t>(listing: *mut abi::Listing) -> Result<&'t Self, Errno> {
        // SAFETY: what the caller promises.
        unsafe { listing.cast_const().cast::<Self>().as_ref() }.ok_or(Errno::FAULT)
    }

    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.0.into_inner()
    }
}

pub(crate) fn kind_of(kind: u32) -> Option<NodeKind> {
    match kind {
        abi::NODE_DIRECTORY => Some(NodeKind::Directory),
        abi::NODE_FILE => Some(NodeKind::File),
        abi::NODE_LINK => Some(NodeKind::Link),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_is_none() {
        let text = Text::new(3);
        text.write(b"ab").unwrap();
        text.write(b"c").unwrap();
        assert_eq!(text.write(b""), Ok(()));
        assert_eq!(text.write(b"d"), Err(Errno::FBIG));
        assert_eq!(text.write(b""), Err(Errno::FBIG));
        assert_eq!(text.into_bytes(), None);
        let text = Text::new(3);
        text.write(b"\xffb").unwrap();
        assert_eq!(text.into_bytes().unwrap(), b"\xffb");
    }

    #[test]
    fn what_is_no_name_is_no_entry() {
        let listing = Listing::default();
        for name in [&b""[..], b".", b"..", b"a/b", b"a\0", &[b'x'; 256]] {
            assert_eq!(listing.add(name, 1, abi::NODE_FILE), Err(Errno::INVAL));
        }
        assert_eq!(
            listing.add(b"a", 1 << 56, abi::NODE_FILE),
            Err(Errno::INVAL)
        );
        assert_eq!(listing.add(b"a", 1, 3), Err(Errno::INVAL));
        listing.add(&[b'x'; 255], 1, abi::NODE_LINK).unwrap();
        listing.add(b"\xff", 2, abi::NODE_FILE).unwrap();
        assert_eq!(listing.into_entries().len(), 2);
    }
}
