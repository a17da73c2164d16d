//! Reading tables of C: as much of each as its maker says that there is.

use std::ffi::c_void;
use std::mem::{MaybeUninit, offset_of, size_of};

use vistafs_plugin_abi as abi;

/// Longer than any text of a table.
const LONGEST: usize = 4096;
/// More than any table has of anything.
const MOST: usize = 1024;

/// An error in a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A pointer that leads nowhere.
    #[error("{0} is a null pointer")]
    Null(&'static str),
    /// A pointer to the middle of something.
    #[error("{0} is at an address that no such table can have")]
    Misaligned(&'static str),
    /// A table that lacks fields which every version has.
    #[error("{what} is {size} bytes long, {least} at least are needed")]
    Short {
        /// The table.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The expected value.
        least: usize,
    },
    /// A text, or a list, of a length that none has.
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

/// A table of C.
///
/// # Safety
/// All bytes zero are a value of it, and at `SIZE_AT` it has its size, a `usize`.
pub(crate) unsafe trait Table: Sized {
    /// Its name in messages.
    const WHAT: &'static str;
    /// Where in it its size is.
    const SIZE_AT: usize;
    /// Bytes of the first version, which all later ones have.
    const LEAST: usize;
}

/// Bytes of a table that ends with a field of the size of a pointer.
macro_rules! through {
    ($table:ty, $field:ident) => {
        offset_of!($table, $field) + size_of::<*const u8>()
    };
}

// SAFETY: numbers, pointers, and functions that may be null.
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

/// A copy of a table, of which what its maker does not know is zero.
///
/// # Safety
/// `table` is null, misaligned, or leads to as many bytes as the size in it says, and to that size.
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
    // SAFETY: there are that many bytes at `bytes`, as the caller promises, and in the copy.
    unsafe { bytes.copy_to_nonoverlapping(copy.as_mut_ptr().cast(), known) };
    // SAFETY: zeros are a value of it, and what was laid over is what its maker calls one.
    Ok(unsafe { copy.assume_init() })
}

/// A text of a table.
///
/// # Safety
/// The text is empty, too long, or all there.
pub(crate) unsafe fn text(text: abi::Str, what: &'static str) -> Result<String, Problem> {
    // SAFETY: what the caller promises.
    let bytes = unsafe { bytes(text, LONGEST, what) }?;
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::NotText(what))?;
    Ok(text.to_owned())
}

/// The bytes of a text that is no longer than `most`.
///
/// # Safety
/// The text is empty, too long, or all there for as long as `'t`.
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
/// `list` is null, misaligned, or leads to `count` entries, which are there for as long as `'l`; unless
/// `count` is 0 or too large.
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

/// A pointer of a plugin's, which is nothing but given back to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Data(*mut c_void);

// SAFETY: it is never followed here; plugins promise to be called by any thread.
unsafe impl Send for Data {}
// SAFETY: as above.
unsafe impl Sync for Data {}

impl Data {
    pub(crate) fn new(data: *mut c_void) -> Self {
        Self(data)
    }

    /// As C has it. (A closure that named the field would take that alone, and not this.)
    pub(crate) fn get(self) -> *mut c_void {
        self.0
    }
}

#[cfg(test)]
mod tests;
