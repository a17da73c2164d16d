//! The functions of a channel.

use std::ffi::c_void;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use vistafs_plugin_abi as abi;
use vistafs_view::{Channel, ViewError};

use crate::guard::{answer, bytes, quietly, write};
use crate::scene::with_request;

static FUNCTIONS: abi::ChannelFunctions = abi::ChannelFunctions {
    size: size_of::<abi::ChannelFunctions>(),
    write: Some(take),
    lasting: Some(lasting),
    read: Some(read),
    close: Some(close),
};

/// Returns a channel, or none, in `out`.
///
/// # Safety
/// `out` is a writable table of vistafs.
pub(crate) unsafe fn put_out(channel: Option<Box<dyn Channel>>, out: *mut abi::Channel) {
    let Some(channel) = channel else {
        // SAFETY: what the caller promises; the field is of the first version.
        unsafe { (*out).functions = ptr::null() };
        return;
    };
    let filled = abi::Channel {
        size: 0,
        descriptor: channel.as_fd().as_raw_fd(),
        data: Box::into_raw(Box::new(channel)).cast(),
        functions: &raw const FUNCTIONS,
    };
    // SAFETY: what the caller promises.
    unsafe { crate::guard::put_out(&filled, out) };
}

/// The `data` of a channel.
///
/// # Safety
/// `data` is from `put_out`, and not closed yet.
unsafe fn channel<'c>(data: *mut c_void) -> &'c dyn Channel {
    // SAFETY: what the caller promises.
    let channel = unsafe { &*data.cast::<Box<dyn Channel>>() };
    &**channel
}

unsafe extern "C" fn take(
    data: *mut c_void,
    context: *const abi::Context,
    text: abi::Str,
    taken: *mut usize,
) -> i32 {
    answer(context, |host| {
        // SAFETY: `data` is of a channel that is open.
        let channel = unsafe { channel(data) };
        // SAFETY: the text is there during the call.
        let text = unsafe { bytes(text) };
        let count = with_request(host, context, |request| channel.write(request, text))?;
        // SAFETY: vistafs gives it to be written to.
        unsafe { taken.write(count) };
        Ok(0)
    })
}

unsafe extern "C" fn lasting(data: *mut c_void, sink: *mut abi::Sink) -> i32 {
    answer(ptr::null(), |host| {
        // SAFETY: `data` is of a channel that is open.
        let lasting = unsafe { channel(data) }.lasting();
        match lasting {
            Some(lasting) => write(host, sink, &lasting).map(|()| 0),
            None => Ok(0),
        }
    })
}

unsafe extern "C" fn read(
    data: *mut c_void,
    context: *const abi::Context,
    sink: *mut abi::Sink,
) -> i32 {
    answer(context, |host| {
        // SAFETY: `data` is of a channel that is open.
        let channel = unsafe { channel(data) };
        let mut text = Vec::new();
        let read = with_request(host, context, |request| {
            channel.read(request, &mut text).transpose()
        })?;
        match read {
            Some(()) => write(host, sink, &text).map(|()| 0),
            None => Ok::<_, ViewError>(abi::READ_BY_TREE),
        }
    })
}

unsafe extern "C" fn close(data: *mut c_void) {
    quietly(|| {
        // SAFETY: vistafs closes a channel once, and nothing of it is called after that.
        drop(unsafe { Box::from_raw(data.cast::<Box<dyn Channel>>()) });
    });
}
