//! The functions that vistafs offers to plugins.
//!
//! C code calls them, so they must not unwind.

use std::mem::size_of;
use std::panic::{AssertUnwindSafe, catch_unwind};

use vistafs_plugin_abi as abi;
use vistafs_view::{Errno, OptionValue, Options};

use crate::plugin::Loaded;
use crate::scene::Scene;
use crate::sink::{Listing, Text};
use crate::table::bytes;
use crate::{facts, memory};

/// Longer than any line, name or path.
const LONGEST: usize = 1 << 16;

/// The table that a plugin receives.
pub(crate) fn host(loaded: &'static Loaded) -> abi::Host {
    abi::Host {
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        size: size_of::<abi::Host>(),
        loaded: std::ptr::from_ref(loaded).cast(),
        log,
        option,
        write,
        add_entry,
        explain,
        caller: facts::caller,
        pid_for_caller: facts::pid_for_caller,
        container: facts::container,
        remember: memory::remember,
        cgroup: facts::cgroup,
        cgroup_at: facts::cgroup_at,
        memory: facts::memory,
        cpu: facts::cpu,
        visible_cpus: facts::visible_cpus,
        tasks: facts::tasks,
        host: facts::host,
        host_file: facts::host_file,
    }
}

/// Converts a result to a C answer.
pub(crate) fn answer(work: impl FnOnce() -> Result<i32, Errno>) -> i32 {
    let done = catch_unwind(AssertUnwindSafe(work));
    // The panic hook logs it.
    let errno = match done {
        Ok(Ok(answer)) => return answer,
        Ok(Err(errno)) => errno,
        Err(_) => Errno::IO,
    };
    -errno.raw_os_error()
}

/// Reads a text of a plugin.
///
/// # Safety
/// The text outlives the call.
pub(crate) unsafe fn told<'t>(text: abi::Str) -> Result<&'t [u8], Errno> {
    // SAFETY: what the caller promises.
    unsafe { bytes(text, LONGEST, "") }.map_err(|_| Errno::INVAL)
}

unsafe extern "C" fn log(loaded: *const abi::Loaded, level: u32, line: abi::Str) {
    answer(|| {
        // SAFETY: plugins guarantee to pass the pointer that they received, which is never freed.
        let loaded = unsafe { loaded.cast::<Loaded>().as_ref() }.ok_or(Errno::FAULT)?;
        // SAFETY: plugins promise it.
        loaded.log(level, unsafe { told(line) }?);
        Ok(0)
    });
}

unsafe extern "C" fn option(
    settings: *const abi::Settings,
    name: abi::Str,
    value: *mut abi::OptionValue,
) -> i32 {
    answer(|| {
        // SAFETY: plugins guarantee to pass the pointer that their `make` received, which still
        // runs.
        let options = unsafe { settings.cast::<Options>().as_ref() }.ok_or(Errno::FAULT)?;
        // SAFETY: plugins promise it.
        let name = std::str::from_utf8(unsafe { told(name) }?).map_err(|_| Errno::INVAL)?;
        let of = |kind, number, text| abi::OptionValue { kind, number, text };
        let found = match options.value(name).ok_or(Errno::NOENT)? {
            OptionValue::Bool(set) => of(abi::OPTION_FLAG, (*set).into(), abi::Str::EMPTY),
            OptionValue::Integer(number) => of(abi::OPTION_NUMBER, *number, abi::Str::EMPTY),
            OptionValue::Text(text) => of(abi::OPTION_TEXT, 0, abi::Str::new(text.as_bytes())),
        };
        if value.is_null() {
            return Err(Errno::FAULT);
        }
        // SAFETY: plugins promise it.
        unsafe { value.write(found) };
        Ok(0)
    })
}

unsafe extern "C" fn write(sink: *mut abi::Sink, text: abi::Str) -> i32 {
    answer(|| {
        // SAFETY: plugins promise it.
        let sink = unsafe { Text::of(sink) }?;
        // One byte beyond the limit is read, to detect the excess.
        let most = sink.most().saturating_add(1);
        let cut = abi::Str {
            len: text.len.min(most),
            ..text
        };
        // SAFETY: plugins promise it.
        let text = unsafe { bytes(cut, most, "") }.map_err(|_| Errno::FAULT)?;
        sink.write(text).map(|()| 0)
    })
}

unsafe extern "C" fn add_entry(
    listing: *mut abi::Listing,
    name: abi::Str,
    id: u64,
    kind: u32,
) -> i32 {
    answer(|| {
        // SAFETY: plugins promise it.
        let listing = unsafe { Listing::of(listing) }?;
        // SAFETY: plugins promise it.
        listing.add(unsafe { told(name) }?, id, kind).map(|()| 0)
    })
}

unsafe extern "C" fn explain(context: *const abi::Context, why: abi::Str) {
    answer(|| {
        // SAFETY: plugins promise it.
        let scene = unsafe { Scene::of(context) }?;
        // SAFETY: plugins promise it.
        scene.explain(unsafe { told(why) }?);
        Ok(0)
    });
}
