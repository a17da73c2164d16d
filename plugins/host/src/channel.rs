//! Adapts a plugin's channel to [`Channel`].

use std::mem::size_of;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr;
use std::sync::Arc;

use vistafs_plugin_abi as abi;
use vistafs_view::{Channel, Errno, MOST_LASTING, Request, ViewError};

use crate::call::Made;
use crate::scene::Scene;
use crate::sink::Text;
use crate::table::{Data, copy};

/// The object behind one open file. It is freed after its last call.
#[derive(Debug)]
struct Opened {
    made: &'static Made,
    descriptor: i32,
    data: Data,
    functions: abi::ChannelFunctions,
}

impl Drop for Opened {
    fn drop(&mut self) {
        let data = self.data;
        if let Some(close) = self.functions.close {
            self.made.alone(move || {
                // SAFETY: the plugin passed both together, for this call; it is the only and last
                // one.
                unsafe { close(data.get()) };
            });
        }
    }
}

#[derive(Debug)]
struct PluginChannel(Arc<Opened>);

/// Opens a channel with the plugin's function `call`.
pub(crate) fn open(
    made: &'static Made,
    scene: Scene,
    call: impl FnOnce(*const abi::Context, *mut abi::Channel) -> i32 + Send + 'static,
) -> Result<Option<Box<dyn Channel>>, ViewError> {
    let (_, opened) = made.call(scene, move |context| {
        let mut out = abi::Channel {
            size: size_of::<abi::Channel>(),
            descriptor: -1,
            data: ptr::null_mut(),
            functions: ptr::null(),
        };
        let answer = call(context, &raw mut out);
        if answer < 0 || out.functions.is_null() {
            return (answer, Ok(None));
        }
        // SAFETY: plugins guarantee a table of the size that it states.
        let opened = unsafe { copy(out.functions) }.map(|functions| {
            Some(Opened {
                made,
                descriptor: out.descriptor,
                data: Data::new(out.data),
                functions,
            })
        });
        (answer, opened)
    })?;
    let fault = |why: String| ViewError::Fault {
        errno: Errno::IO,
        why,
    };
    let opened = opened.map_err(|problem| fault(problem.to_string()))?;
    let Some(opened) = opened else {
        return Ok(None);
    };
    let is_open = opened.descriptor >= 0 && {
        // SAFETY: the number is only checked for an open descriptor.
        let descriptor = unsafe { BorrowedFd::borrow_raw(opened.descriptor) };
        rustix::io::fcntl_getfd(descriptor).is_ok()
    };
    if !is_open {
        let number = opened.descriptor;
        return Err(fault(format!("its channel has {number} for a descriptor")));
    }
    Ok(Some(Box::new(PluginChannel(Arc::new(opened)))))
}

impl AsFd for PluginChannel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: it was open, and the plugin keeps it so until `close` is called.
        unsafe { BorrowedFd::borrow_raw(self.0.descriptor) }
    }
}

impl Channel for PluginChannel {
    fn write(&self, request: &mut Request<'_>, data: &[u8]) -> Result<usize, ViewError> {
        // As a file that is not writable.
        let write = self.0.functions.write.ok_or(ViewError::Answer(Errno::IO))?;
        let (opened, data, most) = (Arc::clone(&self.0), data.to_vec(), data.len());
        let scene = Scene::of_request(self.0.made.loaded, request);
        let (_, taken) = self.0.made.call(scene, move |context| {
            let mut taken = 0;
            // SAFETY: the plugin passed the function for this call, and all arguments outlive the
            // call.
            let answer = unsafe {
                write(
                    opened.data.get(),
                    context,
                    abi::Str::new(&data),
                    &raw mut taken,
                )
            };
            (answer, taken)
        })?;
        // A plugin cannot take more bytes than the kernel passed.
        Ok(taken.min(most))
    }

    fn lasting(&self) -> Option<Vec<u8>> {
        let lasting = self.0.functions.lasting?;
        let opened = Arc::clone(&self.0);
        let text = self.0.made.alone(move || {
            let text = Text::new(MOST_LASTING);
            // SAFETY: as above.
            let answer = unsafe { lasting(opened.data.get(), text.as_sink()) };
            text.into_bytes().filter(|_| answer >= 0)
        });
        text.flatten().filter(|text| !text.is_empty())
    }

    fn read(&self, request: &mut Request<'_>, out: &mut Vec<u8>) -> Option<Result<(), ViewError>> {
        let read = self.0.functions.read?;
        let opened = Arc::clone(&self.0);
        let scene = Scene::of_request(self.0.made.loaded, request);
        let written = self.0.made.write(scene, move |context, sink| {
            // SAFETY: as above.
            unsafe { read(opened.data.get(), context, sink) }
        });
        match written {
            Ok((abi::READ_BY_TREE, _)) => None,
            Ok((_, text)) => {
                out.extend_from_slice(&text);
                Some(Ok(()))
            }
            Err(error) => Some(Err(error)),
        }
    }
}
