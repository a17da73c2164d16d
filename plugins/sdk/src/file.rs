//! The functions of a view that is a file.

use std::ffi::c_void;

use vistafs_plugin_abi as abi;
use vistafs_view::{Errno, Provider, View, ViewError};

use crate::channel::put_out;
use crate::guard::{answer, bytes, write};
use crate::scene::with_request;

/// The view that a function was given.
///
/// # Safety
/// `view` is what `make` has put out.
unsafe fn file<'v>(view: *mut c_void) -> Result<&'v dyn View, ViewError> {
    // SAFETY: what the caller promises; what `make` puts out is never freed.
    match unsafe { &*view.cast::<Provider>() } {
        Provider::File(file) => Ok(&**file),
        _ => Err(ViewError::Answer(Errno::IO)),
    }
}

pub(crate) unsafe extern "C" fn render(
    view: *mut c_void,
    context: *const abi::Context,
    sink: *mut abi::Sink,
) -> i32 {
    answer(context, |host| {
        // SAFETY: `view` is what `make` has put out.
        let file = unsafe { file(view) }?;
        let mut text = Vec::new();
        with_request(host, context, |request| match request.context() {
            Some(mut cx) => file.render(&mut cx, &mut text),
            None => Err(ViewError::Answer(Errno::IO)),
        })?;
        write(host, sink, &text).map(|()| 0)
    })
}

pub(crate) unsafe extern "C" fn render_on_host(
    view: *mut c_void,
    context: *const abi::Context,
    sink: *mut abi::Sink,
) -> i32 {
    answer(context, |host| {
        // SAFETY: `view` is what `make` has put out.
        let file = unsafe { file(view) }?;
        let mut text = Vec::new();
        let rendered = with_request(host, context, |request| {
            file.render_on_host(request, &mut text).transpose()
        })?;
        match rendered {
            Some(()) => write(host, sink, &text).map(|()| 0),
            None => Ok(abi::SHOW_HOSTS_OWN),
        }
    })
}

pub(crate) unsafe extern "C" fn channel(
    view: *mut c_void,
    context: *const abi::Context,
    lasting: abi::Str,
    out: *mut abi::Channel,
) -> i32 {
    answer(context, |host| {
        // SAFETY: `view` is what `make` has put out.
        let file = unsafe { file(view) }?;
        // SAFETY: the text is there during the call.
        let lasting = unsafe { bytes(lasting) };
        let opened = with_request(host, context, |request| {
            if lasting.is_empty() {
                file.channel(request)
            } else {
                file.channel_again(request, lasting)
            }
        })?;
        // SAFETY: vistafs gives it to be written to.
        unsafe { put_out(opened, out) };
        Ok(0)
    })
}
