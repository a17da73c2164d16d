//! The interface between vistafs and a plugin: C tables only.
//!
//! A plugin exports one function, [`Entry`], by the name [`ENTRY`]. It is given the [`Host`] and answers
//! with a [`Plugin`], which lists its [`View`]s. No type of Rust's crosses: whoever can make tables of C
//! can write a plugin, and plugin and vistafs may be built by different compilers.
//!
//! `include/vistafs_plugin.h` is made from this crate (`cargo xtask header`); what is promised, and for
//! how long, is in `contrib/doc/PLUGIN_ABI.md`.
//!
//! # Rules
//! - Each table begins with its size, in bytes, as its maker knows it. Fields are only ever added at the
//!   end: who reads a table looks at no field beyond that size, and takes what is beyond for absent.
//! - Texts are a pointer and a length, without a NUL at the end.
//! - A function answers 0, or a negative errno (`-ENOENT`). `-EIO` where nothing else fits.
//! - vistafs calls from several threads at once, but for the entry function and `make`.
//! - A plugin is never unloaded. Its tables and the texts in them stay as they are for ever.
//!
//! | file | owns |
//! |---|---|
//! | `plugin.rs` | tables that the plugin provides: [`Plugin`], [`View`], [`OptionSpec`] |
//! | `tree.rs` | a view that is a directory: [`Tree`], [`Node`] |
//! | `channel.rs` | a file that is written to and polled: [`Channel`] |
//! | `host.rs` | functions that vistafs provides: [`Host`] |
//! | `facts.rs` | tables that the functions of [`Host`] fill in: [`Caller`], [`Container`], [`Memory`], ... |

#![no_std]

use core::ffi::c_char;

mod channel;
mod facts;
mod host;
mod plugin;
mod tree;

pub use channel::{Channel, ChannelFunctions, READ_BY_TREE};
pub use facts::{
    Caller, Cgroup, Container, Cpu, FLAG_CAPTURED, FLAG_CPU_QUOTA, FLAG_RENUMBER_CPUS, FLAG_SWAP,
    HostFacts, Memory, NO_LIMIT, Tasks,
};
pub use host::{
    Context, Host, LEVEL_DEBUG, LEVEL_ERROR, LEVEL_INFO, LEVEL_WARN, Listing, Loaded, Settings,
    Sink,
};
pub use plugin::{
    ACCESS_READ, ACCESS_WRITE, Entry, KIND_FILE, KIND_TREE, OPTION_FLAG, OPTION_NUMBER,
    OPTION_TEXT, OptionSpec, OptionValue, Plugin, SHOW_HOSTS_OWN, VIEW_FIXED_LENGTH,
    VIEW_NEEDS_HOST_FILE, VIEW_OFF_BY_DEFAULT, View,
};
pub use tree::{
    CHANGE_GID, CHANGE_MODE, CHANGE_UID, Change, NODE_CHANGEABLE, NODE_DIRECTORY, NODE_FILE,
    NODE_LASTING, NODE_LINK, Node, Tree,
};

/// The tables with another major number cannot be used at all.
pub const ABI_MAJOR: u32 = 1;

/// Counts what has been added to the tables of one major number.
pub const ABI_MINOR: u32 = 0;

/// Name of the function that a plugin exports.
pub const ENTRY: &core::ffi::CStr = c"vistafs_plugin";

/// A text, or any bytes: `len` of them at `ptr`, which may be null when there are none.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Str {
    /// Where it begins.
    pub ptr: *const c_char,
    /// Bytes.
    pub len: usize,
}

impl Str {
    /// No bytes.
    pub const EMPTY: Self = Self {
        ptr: core::ptr::null(),
        len: 0,
    };

    /// These bytes, for as long as they are there.
    #[must_use]
    pub const fn new(bytes: &[u8]) -> Self {
        Self {
            ptr: bytes.as_ptr().cast(),
            len: bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests;
