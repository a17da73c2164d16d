//! A plugin that misbehaves; for tests.
//!
//! What it does while it is loaded is decided by one byte of its file, after the text of `MODE`: a test copies
//! the file and writes another there.

#![allow(
    unsafe_code,
    reason = "it does what plugins must not do, and some of that on the way in"
)]

mod tree;
mod views;

use std::time::Duration;

use vistafs_plugin_sdk::abi;

/// `0`: it behaves. `1`: it aborts in its constructor. `2`: its tables are of another version. `3`: it does
/// not want to serve. `4`: its constructor does not return. `5`: its views want names and paths that none
/// can have. `6`: it aborts in its entry function.
static MODE: [u8; 18] = *b"VISTAFS-ODD-MODE:0";

fn mode() -> u8 {
    // SAFETY: it is a static. The compiler is not to know what is in it.
    unsafe { (&raw const MODE[17]).read_volatile() }
}

extern "C" fn constructor() {
    match mode() {
        b'1' => std::process::abort(),
        b'4' => std::thread::sleep(Duration::MAX),
        _ => {}
    }
}

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

/// The entry function of the plugin.
///
/// # Safety
/// `host` is a table of vistafs's, which is there for as long as the process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vistafs_plugin(host: *const abi::Host) -> *const abi::Plugin {
    match mode() {
        b'3' => return std::ptr::null(),
        b'6' => std::process::abort(),
        _ => {}
    }
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    // SAFETY: what the caller promises.
    let plugin = unsafe { vistafs_plugin_sdk::export(host, name, version, &views::NAMES) };
    let plugin = plugin.cast_mut();
    match mode() {
        // SAFETY: no other code has seen the table yet.
        b'2' => unsafe { (*plugin).abi_major += 1 },
        b'5' => {
            // SAFETY: as above.
            let views = unsafe { &mut *plugin };
            views.views = (&raw const BAD.0).cast();
            views.view_count = BAD.0.len();
        }
        _ => {}
    }
    plugin
}

/// Pointers to tables that never change.
struct Tables([*const abi::View; 4]);

// SAFETY: as said.
unsafe impl Sync for Tables {}

static BAD: Tables = Tables([
    &raw const OUTSIDE,
    &raw const NOT_TEXT,
    std::ptr::null(),
    &raw const SHORT,
]);

static OUTSIDE: abi::View = view(b"outside", b"etc/passwd");
static NOT_TEXT: abi::View = view(b"\xff", b"proc/x");
static SHORT: abi::View = abi::View {
    size: 8,
    ..view(b"short", b"proc/x")
};

const fn view(name: &'static [u8], path: &'static [u8]) -> abi::View {
    abi::View {
        size: size_of::<abi::View>(),
        name: abi::Str::new(name),
        path: abi::Str::new(path),
        summary: abi::Str::new(b"cannot be served"),
        kind: abi::KIND_FILE,
        mode: 0o444,
        flags: 0,
        sources: std::ptr::null(),
        source_count: 0,
        options: std::ptr::null(),
        option_count: 0,
        data: std::ptr::null_mut(),
        make: None,
        render: Some(render),
        render_on_host: None,
        channel: None,
        tree: std::ptr::null(),
    }
}

unsafe extern "C" fn render(
    _: *mut std::ffi::c_void,
    _: *const abi::Context,
    _: *mut abi::Sink,
) -> i32 {
    0
}
