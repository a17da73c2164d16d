//! A view that is a directory and all below it.

use core::ffi::c_void;

use crate::{Channel, Context, Listing, Sink, Str};

/// The node is a directory.
pub const NODE_DIRECTORY: u32 = 0;
/// The node is a file.
pub const NODE_FILE: u32 = 1;
/// The node is a symbolic link.
pub const NODE_LINK: u32 = 2;

/// The node's name leads to it for every caller, for ever. The kernel remembers such names.
pub const NODE_LASTING: u32 = 1;
/// The node's mode and owner may change. The kernel then requests them before each check.
pub const NODE_CHANGEABLE: u32 = 2;

/// `Change::mode` is set.
pub const CHANGE_MODE: u32 = 1;
/// `Change::uid` is set.
pub const CHANGE_UID: u32 = 2;
/// `Change::gid` is set.
pub const CHANGE_GID: u32 = 4;

/// Attributes of a node for stat(2); filled in by the plugin.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Node {
    /// Bytes of this table, as vistafs knows it; set by vistafs.
    pub size: usize,
    /// Number of the node, below 2^56; 0 is the top. It means the same node in every process.
    pub id: u64,
    /// Bytes in the file.
    pub bytes: u64,
    /// `NODE_DIRECTORY`, `NODE_FILE` or `NODE_LINK`.
    pub kind: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner, as vistafs sees it.
    pub uid: u32,
    /// Group, as vistafs sees it.
    pub gid: u32,
    /// `NODE_LASTING`, `NODE_CHANGEABLE`.
    pub flags: u32,
}

/// Changes of a node.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// Bytes of this table.
    pub size: usize,
    /// `CHANGE_*`: which of these are set.
    pub set: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner, as vistafs sees it.
    pub uid: u32,
    /// Group, as vistafs sees it.
    pub gid: u32,
}

/// The functions of a tree, which serves callers in containers and on the host alike. `view` is what the
/// view's `make` has put out. Those that say so may be null.
///
/// Node numbers come from callers and may be invented or obsolete: each function checks whether
/// this caller may see that node, and answers `-ENOENT` or `-ESTALE` if not.
#[repr(C)]
#[derive(Debug)]
pub struct Tree {
    /// Bytes of this table.
    pub size: usize,
    /// Looks up `name` in the directory `parent`.
    pub lookup: Option<
        unsafe extern "C" fn(
            view: *mut c_void,
            context: *const Context,
            parent: u64,
            name: Str,
            node: *mut Node,
        ) -> i32,
    >,
    /// Attributes of a node.
    pub attributes: Option<
        unsafe extern "C" fn(
            view: *mut c_void,
            context: *const Context,
            id: u64,
            node: *mut Node,
        ) -> i32,
    >,
    /// Adds each entry of a directory with `Host::add_entry`, `.` and `..` left out.
    pub list: Option<
        unsafe extern "C" fn(
            view: *mut c_void,
            context: *const Context,
            id: u64,
            listing: *mut Listing,
        ) -> i32,
    >,
    /// Whether the caller may open the file so (`ACCESS_*`). May be null: the mode alone decides.
    pub open: Option<
        unsafe extern "C" fn(
            view: *mut c_void,
            context: *const Context,
            id: u64,
            access: u32,
        ) -> i32,
    >,
    /// Writes the whole text of a file into `sink`.
    pub read: Option<
        unsafe extern "C" fn(
            view: *mut c_void,
            context: *const Context,
            id: u64,
            sink: *mut Sink,
        ) -> i32,
    >,
    /// Writes where a symbolic link leads into `sink`. May be null: there are none.
    pub read_link: Option<
        unsafe extern "C" fn(
            view: *mut c_void,
            context: *const Context,
            id: u64,
            sink: *mut Sink,
        ) -> i32,
    >,
    /// As `View::channel`, of a file that was opened for `access`. May be null: not writable, always ready.
    pub channel: Option<
        unsafe extern "C" fn(
            view: *mut c_void,
            context: *const Context,
            id: u64,
            access: u32,
            lasting: Str,
            channel: *mut Channel,
        ) -> i32,
    >,
    /// Makes a directory. May be null: `-EPERM`.
    pub make_directory: Option<
        unsafe extern "C" fn(
            view: *mut c_void,
            context: *const Context,
            parent: u64,
            name: Str,
            mode: u32,
            node: *mut Node,
        ) -> i32,
    >,
    /// Removes a directory. May be null: `-EPERM`.
    pub remove_directory: Option<
        unsafe extern "C" fn(
            view: *mut c_void,
            context: *const Context,
            parent: u64,
            name: Str,
        ) -> i32,
    >,
    /// Changes mode or owner. May be null: `-EPERM`.
    pub change: Option<
        unsafe extern "C" fn(
            view: *mut c_void,
            context: *const Context,
            id: u64,
            change: *const Change,
        ) -> i32,
    >,
}

// SAFETY: written by its maker before it is shared, and never after.
#[allow(unsafe_code, reason = "tables are made as statics")]
unsafe impl Sync for Tree {}
