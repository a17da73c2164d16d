//! Loading a file, and calling its entry function.

use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use vistafs_plugin_abi as abi;

use crate::functions;
use crate::plugin::Loaded;
use crate::table::copy;

/// Loads the file of a descriptor, for ever; returns the table of its entry function.
///
/// # Errors
/// An explanation.
pub(crate) fn load(file: OwnedFd, loaded: &'static Loaded) -> Result<abi::Plugin, String> {
    // It stays open: if the descriptor number were reused, the loader would take the next file for
    // this one.
    let file = ManuallyDrop::new(file);
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: the code of the file runs, as root intended by installing it.
    let opened = unsafe { Library::open(Some(Path::new(&path)), RTLD_NOW | RTLD_LOCAL) };
    let library = opened.map_err(|error| words(&error, &path))?;
    // Threads may run its code until the process ends.
    let library = ManuallyDrop::new(library);
    let name = abi::ENTRY.to_string_lossy();
    // SAFETY: plugins guarantee that the symbol of this name is a function of this type.
    let entry = unsafe { library.get::<abi::Entry>(abi::ENTRY.to_bytes_with_nul()) };
    let entry = entry
        .map_err(|_| format!("it exports no function {name}, so it is not a vistafs plugin"))?;
    let host: &'static abi::Host = Box::leak(Box::new(functions::host(loaded)));
    // SAFETY: as above; the table is never freed.
    let table = unsafe { entry(host) };
    read(table)
}

/// Reads the table that an entry function returned: its version first.
fn read(table: *const abi::Plugin) -> Result<abi::Plugin, String> {
    if table.is_null() {
        return Err("it refused to load (see its log lines for the cause)".into());
    }
    if !table.is_aligned() {
        return Err("its entry function did not return a table".into());
    }
    // SAFETY: plugins guarantee a table; the field is the same in every version.
    let major = unsafe { (*table).abi_major };
    if major != abi::ABI_MAJOR {
        let ours = abi::ABI_MAJOR;
        return Err(format!(
            "it was made for version {major} of the tables, and this vistafs has version {ours}: \
             it has to be built anew, against vistafs's own vistafs_plugin.h"
        ));
    }
    // SAFETY: as above; it is as large as it says.
    unsafe { copy(table) }.map_err(|problem| problem.to_string())
}

/// The loader's error, without the internal name of the file.
fn words(error: &libloading::Error, path: &str) -> String {
    let mut text = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        text = source.to_string();
    }
    let text = text.replace(&format!("{path}: "), "");
    format!("it cannot be loaded: {}", text.trim().escape_debug())
}
