//! The layer between a C function and a view: panics, errors, the log.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use vistafs_plugin_abi::{
    Context, Host, LEVEL_DEBUG, LEVEL_ERROR, LEVEL_INFO, LEVEL_WARN, Sink, Str,
};
use vistafs_view::{Errno, ViewError};

static HOST: OnceLock<&'static Host> = OnceLock::new();

/// Stores the table of vistafs, and sends panics and the log to it.
pub(crate) fn greet(host: &'static Host) {
    if HOST.set(host).is_err() {
        return;
    }
    std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    if log::set_logger(&Log).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
}

/// vistafs. `None`: it has not called the entry function, so no other function is called either.
pub(crate) fn host() -> Option<&'static Host> {
    HOST.get().copied()
}

/// Runs a view's code for a caller and converts the result to a C answer.
pub(crate) fn answer(
    context: *const Context,
    work: impl FnOnce(&'static Host) -> Result<i32, ViewError>,
) -> i32 {
    let Some(host) = host() else {
        return code(Errno::IO);
    };
    let done = catch_unwind(AssertUnwindSafe(|| work(host)));
    match done {
        Ok(Ok(answer)) => answer,
        Ok(Err(ViewError::Answer(errno))) => code(errno),
        Ok(Err(error)) => {
            let errno = match &error {
                ViewError::Fault { errno, .. } => *errno,
                _ => Errno::IO,
            };
            explain(host, context, &error.to_string());
            code(errno)
        }
        Err(_) => {
            explain(
                host,
                context,
                "it has panicked (see its log lines for the place)",
            );
            code(Errno::IO)
        }
    }
}

/// Runs work without an answer.
pub(crate) fn quietly(work: impl FnOnce()) {
    // The panic hook logs it.
    let _ = catch_unwind(AssertUnwindSafe(work));
}

/// Converts a result to a C answer.
pub(crate) fn code(errno: Errno) -> i32 {
    -errno.raw_os_error()
}

/// Converts a C answer to a result.
pub(crate) fn result(answer: i32) -> Result<(), Errno> {
    match answer {
        0.. => Ok(()),
        failed => Err(Errno::from_raw_os_error(failed.saturating_neg())),
    }
}

/// Writes a text to the reader's sink.
pub(crate) fn write(host: &Host, sink: *mut Sink, text: &[u8]) -> Result<(), ViewError> {
    // SAFETY: the sink is that of the function that is being answered, and the text outlives the call.
    let answer = unsafe { (host.write)(sink, Str::new(text)) };
    result(answer).map_err(ViewError::Answer)
}

fn explain(host: &Host, context: *const Context, why: &str) {
    if !context.is_null() {
        // SAFETY: the context is that of the function that is being answered, and the text outlives the
        // call.
        unsafe { (host.explain)(context, Str::new(why.as_bytes())) };
    }
}

/// Fills in the fields of a vistafs table that both sides know.
///
/// # Safety
/// `out` is writable and begins with its size, set by vistafs. So does `filled`.
pub(crate) unsafe fn put_out<T>(filled: &T, out: *mut T) {
    const HEAD: usize = size_of::<usize>();
    // SAFETY: what the caller promises.
    let size = unsafe { out.cast::<usize>().read() };
    let known = size.min(size_of::<T>()).saturating_sub(HEAD);
    let from = std::ptr::from_ref(filled).cast::<u8>().wrapping_add(HEAD);
    let to = out.cast::<u8>().wrapping_add(HEAD);
    // SAFETY: both are that long.
    unsafe { from.copy_to(to, known) };
}

/// The bytes of a text from vistafs.
///
/// # Safety
/// `ptr` points to `len` bytes that are valid for `'t`, unless one of the two is 0.
pub(crate) unsafe fn bytes<'t>(text: Str) -> &'t [u8] {
    if text.ptr.is_null() || text.len == 0 {
        return &[];
    }
    // SAFETY: what the caller promises.
    unsafe { std::slice::from_raw_parts(text.ptr.cast(), text.len) }
}

/// The logger of the views: forwards to vistafs.
struct Log;

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let level = match record.level() {
            log::Level::Error => LEVEL_ERROR,
            log::Level::Warn => LEVEL_WARN,
            log::Level::Info => LEVEL_INFO,
            log::Level::Debug | log::Level::Trace => LEVEL_DEBUG,
        };
        let line = record.args().to_string();
        if let Some(host) = host() {
            // SAFETY: `loaded` is what vistafs has given for this, and the text outlives the call.
            unsafe { (host.log)(host.loaded, level, Str::new(line.as_bytes())) };
        }
    }

    fn flush(&self) {}
}
