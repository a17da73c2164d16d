//! Reads C tables, up to the size that each states.

use std::ffi::c_void;
use std::mem::{MaybeUninit, offset_of, size_of};

use vistafs_plugin_abi as abi;

/// Maximum length of a text in a table.
const LONGEST: usize = 4096;
/// Maximum length of a list in a table.
const MOST: usize = 1024;

/// An error in a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A null pointer.
    #[error("{0} is a null pointer")]
    Null(&'static str),
    /// A misaligned pointer.
    #[error("{0} is at an address that no such table can have")]
    Misaligned(&'static str),
    /// A table without fields of the first version.
    #[error("{what} is {size} bytes long, {least} at least are needed")]
    Short {
        /// The table.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The expected value.
        least: usize,
    },
    /// A text or list of an implausible length.
    #[error("{what} is said to be of {size}, {most} at most are taken")]
    Long {
        /// The text or list.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The accepted values.
        most: usize,
    },
    /// Bytes that are not UTF-8.
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
}

/// A C table.
///
/// # Safety
/// All zero bytes are a valid value, and its size, a `usize`, is at `SIZE_AT`.
pub(crate) unsafe trait Table: Sized {
    /// Its name in messages.
    const WHAT: &'static str;
    /// Offset of its size.
    const SIZE_AT: usize;
    /// Size of the first version; later versions only append.
    const LEAST: usize;
}

/// Size of a table whose last field has the size of a pointer.
macro_rules! through {
    ($table:ty, $field:ident) => {
        offset_of!($table, $field) + size_of::<*const u8>()
    };
}

// SAFETY: numbers, pointers, and nullable functions.
unsafe impl Table for abi::Plugin {
    const WHAT: &'static str = "the table of the plugin";
    const SIZE_AT: usize = offset_of!(abi::Plugin, size);
    const LEAST: usize = through!(abi::Plugin, view_count);
}

// SAFETY: as above.
unsafe impl Table for abi::View {
    const WHAT: &'static str = "the table of a view";
    const SIZE_AT: usize = 0;
    const LEAST: usize = through!(abi::View, tree);
}

// SAFETY: as above.
unsafe impl Table for abi::OptionSpec {
    const WHAT: &'static str = "the table of an option";
    const SIZE_AT: usize = 0;
    const LEAST: usize = offset_of!(abi::OptionSpec, most) + size_of::<i64>();
}

// SAFETY: as above.
unsafe impl Table for abi::Tree {
    const WHAT: &'static str = "the table of a tree";
    const SIZE_AT: usize = 0;
    const LEAST: usize = through!(abi::Tree, change);
}

// SAFETY: as above.
unsafe impl Table for abi::ChannelFunctions {
    const WHAT: &'static str = "the table of a channel";
    const SIZE_AT: usize = 0;
    const LEAST: usize = through!(abi::ChannelFunctions, close);
}

/// Copies a table; fields that the plugin does not know are zero.
///
/// # Safety
/// `table` is null, misaligned, or points to a size and as many bytes as it states.
pub(crate) unsafe fn copy<T: Table>(table: *const T) -> Result<T, Problem> {
    if table.is_null() {
        return Err(Problem::Null(T::WHAT));
    }
    if !table.is_aligned() {
        return Err(Problem::Misaligned(T::WHAT));
    }
    let bytes: *const u8 = table.cast();
    // SAFETY: what the caller promises.
    let size_at = unsafe { bytes.add(T::SIZE_AT) };
    // SAFETY: as above; it is unaligned only where the table is.
    let size = unsafe { size_at.cast::<usize>().read_unaligned() };
    if size < T::LEAST {
        let (what, least) = (T::WHAT, T::LEAST);
        return Err(Problem::Short { what, size, least });
    }
    let mut copy = MaybeUninit::<T>::zeroed();
    let known = size.min(size_of::<T>());
    // SAFETY: both ranges are that long: `bytes` as the caller guarantees, and the copy.
    unsafe { bytes.copy_to_nonoverlapping(copy.as_mut_ptr().cast(), known) };
    // SAFETY: all zeros are a valid value, and the copied bytes are a prefix of a valid table.
    Ok(unsafe { copy.assume_init() })
}

/// A text of a table.
///
/// # Safety
/// The text is empty, too long, or completely readable.
pub(crate) unsafe fn text(text: abi::Str, what: &'static str) -> Result<String, Problem> {
    // SAFETY: what the caller promises.
    let bytes = unsafe { bytes(text, LONGEST, what) }?;
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::NotText(what))?;
    Ok(text.to_owned())
}

/// The bytes of a text of at most `most` bytes.
///
/// # Safety
/// The text is empty, too long, or completely readable for `'t`.
pub(crate) unsafe fn bytes<'t>(
    text: abi::Str,
    most: usize,
    what: &'static str,
) -> Result<&'t [u8], Problem> {
    if text.len > most {
        let size = text.len;
        return Err(Problem::Long { what, size, most });
    }
    if text.len == 0 {
        return Ok(&[]);
    }
    if text.ptr.is_null() {
        return Err(Problem::Null(what));
    }
    // SAFETY: what the caller promises.
    Ok(unsafe { std::slice::from_raw_parts(text.ptr.cast(), text.len) })
}

/// A list in a table.
///
/// # Safety
/// `list` is null, misaligned, or points to `count` entries that are valid for `'l`; unless `count`
/// is 0 or too large.
pub(crate) unsafe fn list<'l, T>(
    list: *const T,
    count: usize,
    what: &'static str,
) -> Result<&'l [T], Problem> {
    if count > MOST {
        let (size, most) = (count, MOST);
        return Err(Problem::Long { what, size, most });
    }
    if count == 0 {
        return Ok(&[]);
    }
    if list.is_null() {
        return Err(Problem::Null(what));
    }
    if !list.is_aligned() {
        return Err(Problem::Misaligned(what));
    }
    // SAFETY: what the caller promises.
    Ok(unsafe { std::slice::from_raw_parts(list, count) })
}

/// An opaque pointer of a plugin, which is only passed back to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Data(*mut c_void);

// SAFETY: it is never dereferenced here; plugins guarantee that any thread may call them.
unsafe impl Send for Data {}
// SAFETY: as above.
unsafe impl Sync for Data {}

impl Data {
    pub(crate) fn new(data: *mut c_void) -> Self {
        Self(data)
    }

    /// The C value. (A closure that named the field would capture only the pointer.)
    pub(crate) fn get(self) -> *mut c_void {
        self.0
    }
}

#[cfg(test)]
mod tests;
