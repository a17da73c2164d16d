//! Adapts a plugin's file view to [`View`].

use std::ffi::c_void;

use vistafs_plugin_abi as abi;
use vistafs_view::{Channel, Context, Request, View, ViewError};

use crate::call::Made;
use crate::channel;
use crate::scene::Scene;

/// Renders a text.
type Render = unsafe extern "C" fn(*mut c_void, *const abi::Context, *mut abi::Sink) -> i32;
/// Opens a channel.
type Open =
    unsafe extern "C" fn(*mut c_void, *const abi::Context, abi::Str, *mut abi::Channel) -> i32;

#[derive(Debug)]
pub(crate) struct File {
    pub(crate) made: &'static Made,
    pub(crate) render: Render,
    pub(crate) render_on_host: Option<Render>,
    pub(crate) channel: Option<Open>,
    pub(crate) keeps_its_length: bool,
}

impl File {
    fn open(
        &self,
        request: &Request<'_>,
        lasting: &[u8],
    ) -> Result<Option<Box<dyn Channel>>, ViewError> {
        let Some(open) = self.channel else {
            return Ok(None);
        };
        let (made, lasting) = (self.made, lasting.to_vec());
        channel::open(
            made,
            Scene::of_request(made.loaded, request),
            move |context, out| {
                // SAFETY: the plugin passed the function for this call, and all arguments outlive
                // the call.
                unsafe { open(made.data(), context, abi::Str::new(&lasting), out) }
            },
        )
    }
}

impl View for File {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let (made, render) = (self.made, self.render);
        let (_, text) = made.write(
            Scene::of_context(made.loaded, cx),
            // SAFETY: the plugin passed the function for this call, and all arguments outlive the
            // call.
            move |context, sink| unsafe { render(made.data(), context, sink) },
        )?;
        out.extend_from_slice(&text);
        Ok(())
    }

    fn render_on_host(
        &self,
        request: &Request<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Result<(), ViewError>> {
        let (made, render) = (self.made, self.render_on_host?);
        let written = made.write(
            Scene::of_request(made.loaded, request),
            // SAFETY: as above.
            move |context, sink| unsafe { render(made.data(), context, sink) },
        );
        match written {
            Ok((abi::SHOW_HOSTS_OWN, _)) => None,
            Ok((_, text)) => {
                out.extend_from_slice(&text);
                Some(Ok(()))
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// The plugin may block.
    fn takes_time(&self) -> bool {
        true
    }

    fn keeps_its_length(&self) -> bool {
        self.keeps_its_length
    }

    fn channel(&self, request: &mut Request<'_>) -> Result<Option<Box<dyn Channel>>, ViewError> {
        self.open(request, &[])
    }

    fn channel_again(
        &self,
        request: &mut Request<'_>,
        lasting: &[u8],
    ) -> Result<Option<Box<dyn Channel>>, ViewError> {
        self.open(request, lasting)
    }
}
