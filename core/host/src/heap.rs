//! Returns freed memory to the kernel.

#![allow(unsafe_code, reason = "one call of the C library")]

/// Returns the memory that the allocator caches. Takes some ms for large amounts; to be called
/// after freeing much.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it may be called at any time and by any thread, and takes no pointer.
    unsafe {
        libc::malloc_trim(0);
    }
}
