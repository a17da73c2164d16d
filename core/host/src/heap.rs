//! Memory that was freed, given back to the kernel.

#![allow(unsafe_code, reason = "one call of the C library")]

/// Gives back what the allocator keeps of freed memory. Takes some ms where there is much; for who has
/// just let go of much.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it may be called at any time and by any thread, and takes no pointer.
    unsafe {
        libc::malloc_trim(0);
    }
}
