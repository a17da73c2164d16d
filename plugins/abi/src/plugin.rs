//! Tables that a plugin provides.

use core::ffi::c_void;

use crate::{Channel, Context, Host, Settings, Sink, Str, Tree};

/// The function that a plugin exports. It is called once, before anything else of the plugin's. A plugin
/// that cannot be used answers null, and says why with `log`.
///
/// # Safety
/// `host` and all that it leads to are there for as long as the process.
pub type Entry = unsafe extern "C" fn(host: *const Host) -> *const Plugin;

/// The kind of a view: one file.
pub const KIND_FILE: u32 = 0;
/// The kind of a view: a directory and all below it.
pub const KIND_TREE: u32 = 1;

/// The view is off until the configuration enables it.
pub const VIEW_OFF_BY_DEFAULT: u32 = 1;
/// The texts of one container have the same length as long as nothing but numbers in them changes.
pub const VIEW_FIXED_LENGTH: u32 = 2;
/// The view is made from the host's file at its path: a host without that has no such view.
pub const VIEW_NEEDS_HOST_FILE: u32 = 4;

/// The option is true or false.
pub const OPTION_FLAG: u32 = 0;
/// The option is a whole number.
pub const OPTION_NUMBER: u32 = 1;
/// The option is a text.
pub const OPTION_TEXT: u32 = 2;

/// Of an open file: it will be read.
pub const ACCESS_READ: u32 = 1;
/// Of an open file: it will be written.
pub const ACCESS_WRITE: u32 = 2;

/// Answered by `render_on_host`: the caller sees the host's own file.
pub const SHOW_HOSTS_OWN: i32 = 1;

/// A plugin. The first three fields are the same in every version, for ever.
#[repr(C)]
#[derive(Debug)]
pub struct Plugin {
    /// `ABI_MAJOR` of the header that the plugin was made with.
    pub abi_major: u32,
    /// `ABI_MINOR` of the same.
    pub abi_minor: u32,
    /// Bytes of this table.
    pub size: usize,
    /// For people.
    pub name: Str,
    /// For people.
    pub version: Str,
    /// Its views, one pointer for each.
    pub views: *const *const View,
    /// How many.
    pub view_count: usize,
}

/// The value of an option.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct OptionValue {
    /// `OPTION_FLAG`, `OPTION_NUMBER` or `OPTION_TEXT`.
    pub kind: u32,
    /// Of a flag: 0 or 1. Of a number: the number.
    pub number: i64,
    /// Of a text: the text, UTF-8.
    pub text: Str,
}

/// An option of a view: a key of its table in the configuration, `[view.NAME]`.
#[repr(C)]
#[derive(Debug)]
pub struct OptionSpec {
    /// Bytes of this table.
    pub size: usize,
    /// The key: `a`-`z`, `0`-`9`, `_`.
    pub name: Str,
    /// One line for people.
    pub summary: Str,
    /// The default; its kind is the kind of the option.
    pub default_value: OptionValue,
    /// Of a number: the least that it takes.
    pub least: i64,
    /// Of a number: the most that it takes. Less than `least`: any number will do.
    pub most: i64,
}

/// A view. Of the functions, those that say so may be null.
///
/// `view` is what `make` has put out.
#[repr(C)]
#[derive(Debug)]
pub struct View {
    /// Bytes of this table.
    pub size: usize,
    /// Its name: `a`-`z`, `0`-`9`, `-`, `_`.
    pub name: Str,
    /// Where it stands below the mount: below `proc/` or `sys/`.
    pub path: Str,
    /// One line for people.
    pub summary: Str,
    /// `KIND_FILE` or `KIND_TREE`.
    pub kind: u32,
    /// Permission bits of a file. A file without a write bit has no channel.
    pub mode: u32,
    /// `VIEW_*`.
    pub flags: u32,
    /// Where its numbers are from, for people: a controller of cgroups by its v1 name, or `processes`.
    pub sources: *const Str,
    /// How many.
    pub source_count: usize,
    /// Its options, one pointer for each.
    pub options: *const *const OptionSpec,
    /// How many.
    pub option_count: usize,
    /// For the plugin's own use, for example to identify the view in shared functions.
    pub data: *mut c_void,
    /// Makes the view, once; puts out what the other functions are given. May be null: then that is
    /// `data`.
    pub make: Option<
        unsafe extern "C" fn(
            table: *const View,
            settings: *const Settings,
            view: *mut *mut c_void,
        ) -> i32,
    >,
    /// Of a file: writes the whole text for the container into `sink`.
    pub render: Option<
        unsafe extern "C" fn(view: *mut c_void, context: *const Context, sink: *mut Sink) -> i32,
    >,
    /// Of a file: the same for callers on the host, or `SHOW_HOSTS_OWN`. May be null: the host's own.
    pub render_on_host: Option<
        unsafe extern "C" fn(view: *mut c_void, context: *const Context, sink: *mut Sink) -> i32,
    >,
    /// Of a file: opens its channel for a caller that writes to it or polls it: when it is opened
    /// for writing, else at the first poll. Callers on the host come as well. `lasting` is what an earlier
    /// process has left of the same open file (`ChannelFunctions::lasting`); empty: a new one. May be null:
    /// not writable, always ready.
    pub channel: Option<
        unsafe extern "C" fn(
            view: *mut c_void,
            context: *const Context,
            lasting: Str,
            channel: *mut Channel,
        ) -> i32,
    >,
    /// Of a tree: its functions.
    pub tree: *const Tree,
}

// SAFETY: tables are written by their maker before they are shared, and never after.
#[allow(unsafe_code, reason = "tables are made as statics")]
unsafe impl Sync for Plugin {}
// SAFETY: as above.
#[allow(unsafe_code, reason = "tables are made as statics")]
unsafe impl Sync for View {}
// SAFETY: as above.
#[allow(unsafe_code, reason = "tables are made as statics")]
unsafe impl Sync for OptionSpec {}
