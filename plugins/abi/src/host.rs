//! Functions that vistafs provides.

use core::ffi::c_void;

use crate::{Caller, Cgroup, Container, Cpu, HostFacts, Memory, OptionValue, Str, Tasks};

/// It keeps something from being served.
pub const LEVEL_ERROR: u32 = 1;
/// The administrator should look at it.
pub const LEVEL_WARN: u32 = 2;
/// The administrator may want to know.
pub const LEVEL_INFO: u32 = 3;
/// For developers.
pub const LEVEL_DEBUG: u32 = 4;

/// The caller, its container, and the host. Valid until the function that received it returns.
#[repr(C)]
#[derive(Debug)]
pub struct Context {
    _opaque: [u8; 0],
}

/// Where a text is written.
#[repr(C)]
#[derive(Debug)]
pub struct Sink {
    _opaque: [u8; 0],
}

/// Where the entries of a directory are added.
#[repr(C)]
#[derive(Debug)]
pub struct Listing {
    _opaque: [u8; 0],
}

/// The options of a view that is being made.
#[repr(C)]
#[derive(Debug)]
pub struct Settings {
    _opaque: [u8; 0],
}

/// The plugin, as vistafs knows it.
#[repr(C)]
#[derive(Debug)]
pub struct Loaded {
    _opaque: [u8; 0],
}

/// vistafs. The first three fields are the same in every version, for ever. No function of it is null.
///
/// The texts that they put out are there as long as what they were asked of: the context, or the settings.
#[repr(C)]
#[derive(Debug)]
pub struct Host {
    /// `ABI_MAJOR` of vistafs.
    pub abi_major: u32,
    /// `ABI_MINOR` of vistafs.
    pub abi_minor: u32,
    /// Bytes of this table.
    pub size: usize,
    /// For `log`.
    pub loaded: *const Loaded,
    /// Writes a line (UTF-8) into the log of vistafs, under the plugin's name. At any time.
    pub log: unsafe extern "C" fn(loaded: *const Loaded, level: u32, line: Str),
    /// The value of an option that the view has declared. `-ENOENT`: it has not.
    pub option:
        unsafe extern "C" fn(settings: *const Settings, name: Str, value: *mut OptionValue) -> i32,
    /// Appends to a text. `-EFBIG`: it would be longer than vistafs lets it be; the reader gets that, too,
    /// whatever the plugin answers.
    pub write: unsafe extern "C" fn(sink: *mut Sink, bytes: Str) -> i32,
    /// Adds an entry to a directory: its name, its number and its kind (`NODE_*`). `-EINVAL`: that cannot
    /// be a name; `-EFBIG`: there are too many.
    pub add_entry:
        unsafe extern "C" fn(listing: *mut Listing, name: Str, id: u64, kind: u32) -> i32,
    /// Says why the function will fail, in words (UTF-8) for the administrator. A failure of which nothing
    /// is explained is an answer to the caller, and not logged.
    pub explain: unsafe extern "C" fn(context: *const Context, why: Str),
    /// The caller.
    pub caller: unsafe extern "C" fn(context: *const Context, caller: *mut Caller) -> i32,
    /// Number of a process in the caller's pid namespace, for one in vistafs's; 0: not visible there.
    pub pid_for_caller:
        unsafe extern "C" fn(context: *const Context, pid: u32, shown: *mut u32) -> i32,
    /// Whose numbers are shown. `-ENOENT`: the host's; so do the functions that are about it.
    pub container: unsafe extern "C" fn(context: *const Context, container: *mut Container) -> i32,
    /// The plugin's state of the container: created by `make` at the first call, freed by `free`
    /// when the container has ended. The same for all views of the plugin.
    pub remember: unsafe extern "C" fn(
        context: *const Context,
        make: Option<unsafe extern "C" fn() -> *mut c_void>,
        free: Option<unsafe extern "C" fn(data: *mut c_void)>,
        data: *mut *mut c_void,
    ) -> i32,
    /// The container's cgroup in the hierarchy that has a controller, by its v1 name. `-ENODEV`: in none.
    pub cgroup:
        unsafe extern "C" fn(context: *const Context, controller: Str, cgroup: *mut Cgroup) -> i32,
    /// The container's cgroup number `index`, counted from 0. `-ENODEV`: there are no more.
    pub cgroup_at:
        unsafe extern "C" fn(context: *const Context, index: usize, cgroup: *mut Cgroup) -> i32,
    /// Memory and swap. `-ENODEV`: no memory controller counts for the container.
    pub memory: unsafe extern "C" fn(context: *const Context, memory: *mut Memory) -> i32,
    /// CPU time, quota and visible CPUs. Without a controller that counts, the times are 0.
    pub cpu: unsafe extern "C" fn(context: *const Context, cpu: *mut Cpu) -> i32,
    /// Writes the CPUs that the container is shown, as a list: `0-3,8`.
    pub visible_cpus: unsafe extern "C" fn(context: *const Context, sink: *mut Sink) -> i32,
    /// Its threads. `-ENODEV`: no hierarchy distinguishes them from the host's.
    pub tasks: unsafe extern "C" fn(context: *const Context, tasks: *mut Tasks) -> i32,
    /// The host.
    pub host: unsafe extern "C" fn(context: *const Context, facts: *mut HostFacts) -> i32,
    /// Writes a file of the host's, by its path below `/`, as it is now.
    pub host_file: unsafe extern "C" fn(context: *const Context, path: Str, sink: *mut Sink) -> i32,
}

// SAFETY: the functions may be called by any thread, and what `loaded` leads to never changes.
#[allow(unsafe_code, reason = "the table is kept as a static by plugins")]
unsafe impl Sync for Host {}
// SAFETY: as above.
#[allow(unsafe_code, reason = "the table is kept as a static by plugins")]
unsafe impl Send for Host {}
