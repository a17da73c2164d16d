//! Fills in tables that a plugin passes.

use std::mem::size_of;

use vistafs_view::Errno;

/// Fills in the fields of a table that the plugin knows.
///
/// # Safety
/// `out` is null, or begins with a size, `usize`, and is as large as that says.
pub(crate) unsafe fn fill<T>(out: *mut T, filled: &T) -> Result<i32, Errno> {
    const HEAD: usize = size_of::<usize>();
    if out.is_null() || !out.is_aligned() {
        return Err(Errno::FAULT);
    }
    // SAFETY: what the caller promises.
    let size = unsafe { out.cast::<usize>().read() };
    let known = size.min(size_of::<T>());
    if known < HEAD {
        return Err(Errno::INVAL);
    }
    let from = std::ptr::from_ref(filled).cast::<u8>().wrapping_add(HEAD);
    let to = out.cast::<u8>().wrapping_add(HEAD);
    // SAFETY: both tables are at least `known` bytes long; the caller holds no reference to `out`.
    unsafe { from.copy_to(to, known - HEAD) };
    // SAFETY: as above.
    unsafe { out.cast::<usize>().write(known) };
    Ok(0)
}

/// Size of the table as the plugin knows it.
///
/// # Safety
/// As for [`fill`].
pub(crate) unsafe fn wanted<T>(out: *const T) -> usize {
    if out.is_null() || !out.is_aligned() {
        return 0;
    }
    // SAFETY: what the caller promises.
    unsafe { out.cast::<usize>().read() }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use vistafs_plugin_abi as abi;

    use super::*;

    #[test]
    fn a_table_is_filled_as_far_as_it_is_known() {
        let full = abi::Tasks {
            size: 0,
            total: 1,
            running: 2,
            blocked: 3,
        };
        let mut out = abi::Tasks {
            size: offset_of!(abi::Tasks, blocked),
            total: 9,
            running: 9,
            blocked: 9,
        };
        // SAFETY: it is larger than it says.
        let filled = unsafe { fill(&raw mut out, &full) };
        assert_eq!(filled, Ok(0));
        assert_eq!(
            (out.size, out.total, out.running, out.blocked),
            (24, 1, 2, 9)
        );
        out.size = 3;
        // SAFETY: as above.
        let filled = unsafe { fill(&raw mut out, &full) };
        assert_eq!(filled, Err(Errno::INVAL));
        // SAFETY: null is not followed.
        let filled = unsafe { fill(std::ptr::null_mut(), &full) };
        assert_eq!(filled, Err(Errno::FAULT));
    }
}
