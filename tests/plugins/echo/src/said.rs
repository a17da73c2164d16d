//! A file that shows what was written to it last.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};
use vistafs_plugin_sdk::view::{
    Channel, Context, Errno, MOST_LASTING, OptionSpec, OptionValue, Options, Provider, Request,
    View, ViewError, ViewSpec, inventory,
};

inventory::submit! {
    ViewSpec {
        name: "echo-said",
        path: "proc/echo/said",
        summary: "what was written here last",
        mode: 0o666,
        on_by_default: true,
        sources: &[],
        options: &[
            OptionSpec {
                name: "nothing",
                default: OptionValue::Text(std::borrow::Cow::Borrowed("nothing yet")),
                range: None,
                summary: "the contents before the first write",
            },
            OptionSpec {
                name: "most",
                default: OptionValue::Integer(64),
                range: Some(1..=64),
                summary: "how many bytes may be written",
            },
        ],
        build: |options| Provider::File(Arc::new(Said::new(options))),
    }
}

#[derive(Debug)]
struct Said {
    nothing: String,
    most: usize,
}

impl Said {
    fn new(options: &Options) -> Self {
        Self {
            nothing: options.text("nothing").to_owned(),
            most: usize::try_from(options.number("most")).unwrap_or(MOST_LASTING),
        }
    }

    fn push(&self, said: &Board, out: &mut Vec<u8>) {
        match &said.lock().text {
            Some(text) => out.extend_from_slice(text),
            None => out.extend_from_slice(self.nothing.as_bytes()),
        }
        out.push(b'\n');
    }
}

/// The lines written in a container.
type Board = Mutex<Written>;

#[derive(Debug, Default)]
struct Written {
    text: Option<Vec<u8>>,
    listeners: Vec<Weak<OwnedFd>>,
}

static ON_HOST: Mutex<Option<Arc<Board>>> = Mutex::new(None);

fn board(request: &Request<'_>) -> Arc<Board> {
    match request.container() {
        Some(container) => container.state(),
        None => Arc::clone(ON_HOST.lock().get_or_insert_default()),
    }
}

impl View for Said {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        self.push(&cx.container().state::<Board>(), out);
        Ok(())
    }

    fn render_on_host(
        &self,
        request: &Request<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Result<(), ViewError>> {
        self.push(&board(request), out);
        Some(Ok(()))
    }

    fn channel(&self, request: &mut Request<'_>) -> Result<Option<Box<dyn Channel>>, ViewError> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let event = Arc::new(event.map_err(ViewError::Answer)?);
        board(request).lock().listeners.push(Arc::downgrade(&event));
        Ok(Some(Box::new(Listener {
            event,
            most: self.most,
            written: Mutex::default(),
        })))
    }

    fn channel_again(
        &self,
        request: &mut Request<'_>,
        lasting: &[u8],
    ) -> Result<Option<Box<dyn Channel>>, ViewError> {
        // What the worker before knew is lost to the others in the container but for this.
        board(request)
            .lock()
            .text
            .get_or_insert_with(|| lasting.to_vec());
        self.channel(request)
    }
}

/// One open file.
#[derive(Debug)]
struct Listener {
    event: Arc<OwnedFd>,
    most: usize,
    written: Mutex<Option<Vec<u8>>>,
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

impl Channel for Listener {
    fn write(&self, request: &mut Request<'_>, data: &[u8]) -> Result<usize, ViewError> {
        let text = data.trim_ascii_end();
        if text.len() > self.most {
            return Err(ViewError::Answer(Errno::INVAL));
        }
        let board = board(request);
        let mut board = board.lock();
        board.text = Some(text.to_vec());
        board.listeners.retain(|one| one.strong_count() > 0);
        for listener in board.listeners.iter().filter_map(Weak::upgrade) {
            // It is full, and so awake.
            let _ = rustix::io::write(&*listener, &1u64.to_ne_bytes());
        }
        *self.written.lock() = Some(text.to_vec());
        Ok(data.len())
    }

    fn lasting(&self) -> Option<Vec<u8>> {
        self.written.lock().clone()
    }
}
