//! A file that is written to and polled.

use core::ffi::c_void;

use crate::{Context, Sink, Str};

/// Answered by `ChannelFunctions::read`: the tree's own function is to read it.
pub const READ_BY_TREE: i32 = 1;

/// The object behind one open file; filled in by the plugin.
#[repr(C)]
#[derive(Debug)]
pub struct Channel {
    /// Bytes of this table, as vistafs knows it; set by vistafs.
    pub size: usize,
    /// The file is ready when this descriptor is. It stays the plugin's, which keeps it open until `close`.
    pub descriptor: i32,
    /// Given to each function.
    pub data: *mut c_void,
    /// Its functions. Null: the view has no channel, as if there were no function for it.
    pub functions: *const ChannelFunctions,
}

/// The functions of a channel.
#[repr(C)]
#[derive(Debug)]
pub struct ChannelFunctions {
    /// Bytes of this table.
    pub size: usize,
    /// Takes what a caller writes; puts out how many bytes of it were taken.
    pub write: Option<
        unsafe extern "C" fn(
            data: *mut c_void,
            context: *const Context,
            bytes: Str,
            taken: *mut usize,
        ) -> i32,
    >,
    /// Writes into `sink` what makes the next such channel what this one is, should this process end while
    /// the file is open; 64 bytes at most. Asked after each write. May be null: nothing.
    pub lasting: Option<unsafe extern "C" fn(data: *mut c_void, sink: *mut Sink) -> i32>,
    /// Of a file in a tree: writes the whole text into `sink`, where that has to be read by way of the
    /// channel; or answers `READ_BY_TREE`. May be null: the tree's own function reads it.
    pub read: Option<
        unsafe extern "C" fn(data: *mut c_void, context: *const Context, sink: *mut Sink) -> i32,
    >,
    /// Frees it. Nothing is called after that.
    pub close: Option<unsafe extern "C" fn(data: *mut c_void)>,
}

// SAFETY: written by its maker before it is shared, and never after.
#[allow(unsafe_code, reason = "tables are made as statics")]
unsafe impl Sync for ChannelFunctions {}
