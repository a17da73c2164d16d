use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use vistafs_cgroup::Hierarchies;
use vistafs_host::Host;
use vistafs_view::{
    Access, Change, Channel, Context, NodeAttributes, NodeId, NodeKind, Options, Request,
    Selection, TreeView, View, ViewError, ViewSpec,
};

use super::schedule::{Asks, Turn};
use super::*;

mod channels;
mod contents;
mod nodes;

pub(crate) use contents::CHANGING;

#[derive(Debug)]
struct Unused;

impl View for Unused {
    fn render(&self, _: &mut Context<'_>, _: &mut Vec<u8>) -> Result<(), ViewError> {
        Ok(())
    }
}

pub(crate) const READ: Access = Access {
    read: true,
    write: false,
};
const WRITE: Access = Access {
    read: false,
    write: true,
};

pub(crate) const fn spec(name: &'static str, path: &'static str) -> ViewSpec {
    ViewSpec {
        name,
        path,
        summary: "a test",
        mode: 0o444,
        on_by_default: true,
        sources: &[],
        options: &[],
        build: |_: &Options| Provider::File(Arc::new(Unused)),
    }
}

/// A tree with one file, and a directory that only root sees.
#[derive(Debug)]
struct Small;

const FILE: NodeId = NodeId::from_hash(5);
const ROOTS: NodeId = NodeId::from_hash(6);

impl Small {
    fn node(id: NodeId) -> NodeAttributes {
        let kind = if id == FILE {
            NodeKind::File
        } else {
            NodeKind::Directory
        };
        NodeAttributes {
            id,
            kind,
            mode: 0o444,
            uid: 7,
            gid: 8,
            size: 4,
            lasting: id == FILE,
            changeable: false,
        }
    }
}

impl TreeView for Small {
    fn lookup(
        &self,
        request: &mut Request<'_>,
        parent: NodeId,
        name: &OsStr,
    ) -> Result<NodeAttributes, ViewError> {
        match (parent, name.to_str()) {
            (NodeId::TOP, Some("file")) => Ok(Self::node(FILE)),
            (NodeId::TOP, Some("root")) if request.asker().uid == 0 => Ok(Self::node(ROOTS)),
            _ => Err(ViewError::Answer(Errno::NOENT)),
        }
    }

    fn attributes(&self, _: &mut Request<'_>, node: NodeId) -> Result<NodeAttributes, ViewError> {
        match node {
            NodeId::TOP | FILE | ROOTS => Ok(Self::node(node)),
            _ => Err(ViewError::Answer(Errno::STALE)),
        }
    }

    fn list(
        &self,
        _: &mut Request<'_>,
        _: NodeId,
        found: &mut dyn FnMut(&OsStr, NodeId, NodeKind),
    ) -> Result<(), ViewError> {
        found(OsStr::new("file"), FILE, NodeKind::File);
        Ok(())
    }

    fn open(&self, _: &mut Request<'_>, _: NodeId, access: Access) -> Result<(), ViewError> {
        if access.write {
            return Err(ViewError::Answer(Errno::ACCESS));
        }
        Ok(())
    }

    fn read(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        assert_eq!((node, request.container().is_none()), (FILE, true));
        out.extend_from_slice(b"text");
        Ok(())
    }
}

pub(crate) static SMALL: ViewSpec = ViewSpec {
    build: |_: &Options| Provider::Tree(Arc::new(Small)),
    ..spec("small", "sys/small")
};
/// A file that only root may write, checked at open.
#[derive(Debug)]
struct Guarded;

#[derive(Debug)]
struct Sink(File, OnceLock<Vec<u8>>);

impl Sink {
    fn new() -> Box<Self> {
        Box::new(Self(File::open("/dev/null").unwrap(), OnceLock::new()))
    }
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Channel for Sink {
    fn write(&self, _: &mut Request<'_>, data: &[u8]) -> Result<usize, ViewError> {
        let is_first = self.1.set(data.to_vec()).is_ok();
        if is_first || data == b"text" {
            Ok(data.len())
        } else {
            Err(ViewError::Answer(Errno::ALREADY))
        }
    }

    fn lasting(&self) -> Option<Vec<u8>> {
        self.1.get().cloned()
    }
}

impl View for Guarded {
    fn render(&self, _: &mut Context<'_>, _: &mut Vec<u8>) -> Result<(), ViewError> {
        Ok(())
    }

    fn channel(&self, request: &mut Request<'_>) -> Result<Option<Box<dyn Channel>>, ViewError> {
        match request.asker().uid {
            0 => Ok(Some(Sink::new())),
            _ => Err(ViewError::Answer(Errno::BUSY)),
        }
    }

    fn channel_again(
        &self,
        request: &mut Request<'_>,
        lasting: &[u8],
    ) -> Result<Option<Box<dyn Channel>>, ViewError> {
        let sink = Sink::new();
        sink.write(request, lasting)?;
        match lasting {
            b"bad" => Err(ViewError::Answer(Errno::NOSPC)),
            _ => Ok(Some(sink)),
        }
    }
}

pub(crate) static GUARDED: ViewSpec = ViewSpec {
    mode: 0o666,
    build: |_: &Options| Provider::File(Arc::new(Guarded)),
    ..spec("guarded", "proc/guarded")
};
pub(crate) static UPTIME: ViewSpec = spec("uptime", "proc/uptime");
static MISSING: ViewSpec = spec("missing", "proc/no-such-file");

pub(crate) fn dispatcher() -> Dispatcher {
    dispatcher_with(None)
}

pub(crate) fn dispatcher_with(handover: Option<Arc<Handover>>) -> Dispatcher {
    let host = Arc::new(Host::running(Duration::ZERO).unwrap());
    let none = Arc::new(Hierarchies::discover(b"", Path::new("/")).unwrap());
    let containers = Containers::with_handover(host, none, handover).unwrap();
    Dispatcher::new(containers, &registry(), Policy::default())
}

fn registry() -> Registry {
    let views = [&UPTIME, &MISSING, &SMALL, &GUARDED, &CHANGING];
    Registry::new(views, &Selection::default()).unwrap()
}

/// This process, which the dispatcher finds in no container.
pub(crate) fn host(uid: u32) -> Asker {
    Asker {
        tid: std::process::id(),
        uid,
        gid: 0,
    }
}

pub(crate) fn find(dispatcher: &Dispatcher, path: &str) -> Attributes {
    let mut number = number::ROOT;
    let mut found = dispatcher.attributes(number, None, host(0)).unwrap();
    for name in path.split('/') {
        let entry = dispatcher
            .lookup(number, OsStr::new(name), host(0))
            .unwrap();
        found = entry.attributes;
        number = found.number;
    }
    found
}

fn read(
    dispatcher: &Dispatcher,
    number: u64,
    handle: u64,
    offset: u64,
) -> Result<Vec<u8>, DispatchError> {
    let mut text = Vec::new();
    let reply = |bytes: &[u8]| text.extend_from_slice(bytes);
    dispatcher
        .read(number, (handle, READ), offset, 4096, host(0), reply)
        .map(|()| text)
}

#[test]
fn a_tree_that_is_put_aside_goes_on_for_the_host_until_it_is_once_more() {
    let put_aside = |times| {
        let host = Arc::new(Host::running(Duration::ZERO).unwrap());
        let none = Arc::new(Hierarchies::discover(b"", Path::new("/")).unwrap());
        let mut registry = registry();
        (0..times).for_each(|_| registry.put_aside("small", "it crashed"));
        Dispatcher::new(
            Containers::new(host, none).unwrap(),
            &registry,
            Policy::default(),
        )
    };
    let dispatcher = put_aside(1);
    let file = find(&dispatcher, "sys/small/file").number;
    let (handle, _) = dispatcher.open(file, READ, host(0)).unwrap();
    assert_eq!(read(&dispatcher, file, handle, 0).unwrap(), b"text");
    let opened = put_aside(2).open(file, READ, host(0));
    assert_eq!(opened.unwrap_err().errno(), libc::EIO);
}

/// A worker that takes over relies on this.
#[test]
fn another_dispatcher_understands_nodes_and_handles_of_this_one() {
    let (first, second) = (dispatcher(), dispatcher());
    let file = find(&first, "proc/uptime");
    assert_eq!(file.number, find(&second, "proc/uptime").number);
    let (handle, _) = first.open(file.number, READ, host(0)).unwrap();
    assert!(!read(&first, file.number, handle, 0).unwrap().is_empty());
    let afresh = read(&second, file.number, handle, 3).unwrap();
    assert!(
        afresh.ends_with(b"\n"),
        "it is rendered, and read from the offset"
    );
    second.close(handle);
    first.close(handle);
    assert_eq!((first.counts(), second.counts()), ((0, 0, 0), (0, 0, 0)));
}

/// A reader may close a file as soon as it gets the reply, before the replying thread continues:
/// the memory must be available for the next file.
#[test]
fn nobody_has_an_open_file_when_its_reader_is_told() {
    let dispatcher = dispatcher();
    let number = find(&dispatcher, "proc/uptime").number;
    let (handle, _) = dispatcher.open(number, READ, host(0)).unwrap();
    let mut closed = None;
    let close = |_: &[u8]| closed = dispatcher.open_files.close(handle);
    dispatcher
        .read(number, (handle, READ), 0, 100, host(0), close)
        .unwrap();
    assert!(closed.is_some());
}

#[test]
fn a_host_file_that_is_missing_is_an_error() {
    let dispatcher = dispatcher();
    let file = find(&dispatcher, "proc/no-such-file");
    let (handle, _) = dispatcher.open(file.number, READ, host(0)).unwrap();
    let error = read(&dispatcher, file.number, handle, 0).unwrap_err();
    assert_eq!(error.errno(), libc::ENOENT);
}

#[test]
fn directories_are_no_files_and_files_no_directories() {
    let dispatcher = dispatcher();
    let (proc, file) = (
        find(&dispatcher, "proc").number,
        find(&dispatcher, "proc/uptime").number,
    );
    let errno = |result: Result<u64, DispatchError>| result.unwrap_err().errno();
    let open = |number, asker| {
        dispatcher
            .open(number, READ, asker)
            .map(|(handle, _)| handle)
    };
    assert_eq!(errno(open(proc, host(0))), libc::EISDIR);
    assert_eq!(
        errno(dispatcher.open_directory(file, host(0))),
        libc::ENOTDIR
    );
    let below = dispatcher.lookup(file, OsStr::new("x"), host(0));
    assert_eq!(below.unwrap_err().errno(), libc::ENOTDIR);
    assert_eq!(errno(open(0xdead, host(0))), libc::ESTALE);
    assert_eq!(errno(open(file, Asker { tid: 0, ..host(0) })), libc::EACCES);
}

#[test]
fn addresses_are_for_root_and_are_forgotten() {
    let dispatcher = dispatcher();
    let at = |uid| dispatcher.lookup(number::ROOT, OsStr::new("at"), host(uid));
    assert_eq!(at(1000).unwrap_err().errno(), libc::ENOMEM);
    let entry = at(0).unwrap();
    assert!(!entry.lasting);
    let again = at(0).unwrap();
    assert_eq!(entry, again);
    let number = entry.attributes.number;
    assert_eq!(dispatcher.counts().1, 1);
    dispatcher.forget(number, 1);
    assert!(dispatcher.attributes(number, None, host(0)).is_ok());
    dispatcher.forget(number, 1);
    assert_eq!(
        dispatcher
            .attributes(number, None, host(0))
            .unwrap_err()
            .errno(),
        libc::ESTALE
    );
    assert_eq!(dispatcher.counts().1, 0);
}

/// The kernel caches nodes longer than a process lives.
#[test]
fn addresses_are_known_to_the_next_process() {
    let handover = Handover::create().unwrap();
    let next = || dispatcher_with(Some(Arc::clone(&handover)));
    let attributes = |dispatcher: &Dispatcher, number| {
        let found = dispatcher.attributes(number, None, host(0));
        found.map_err(|error| error.errno())
    };
    let first = next();
    let at = find(&first, "at");
    let file = find(&first, "at/proc/uptime");
    let directory = find(&first, "at/sys");
    drop(first);
    let second = next();
    for node in [at, file, directory] {
        assert_eq!(attributes(&second, node.number), Ok(node));
    }
    // The first process has reported this node once, the second twice.
    find(&second, "at/proc/uptime");
    find(&second, "at/proc/uptime");
    drop(second);
    let third = next();
    third.forget(file.number, 2);
    assert_eq!(attributes(&next(), file.number), Ok(file));
    third.forget(file.number, 1);
    for dispatcher in [third, next()] {
        assert_eq!(attributes(&dispatcher, file.number), Err(libc::ESTALE));
    }
}

#[test]
fn listings_go_on_where_they_stopped() {
    let dispatcher = dispatcher();
    let proc = find(&dispatcher, "proc").number;
    let handle = dispatcher.open_directory(proc, host(0)).unwrap();
    let mut names = Vec::new();
    loop {
        // One entry a call, each from where the last one ended.
        let mut found = None;
        let offset = names.len() as u64;
        let add = |next: u64, _: u64, _: NodeKind, name: &OsStr| {
            found = Some((next, name.to_owned()));
            true
        };
        dispatcher
            .read_directory(proc, handle, offset, host(0), add)
            .unwrap();
        let Some((next, name)) = found else {
            break;
        };
        assert_eq!(next, offset + 1);
        names.push(name);
    }
    assert_eq!(names, [".", "..", "guarded", "no-such-file", "uptime"]);
    dispatcher.close_directory(handle);
}

#[test]
fn nodes_of_a_tree_view_are_known_by_their_numbers_alone() {
    let (first, second) = (dispatcher(), dispatcher());
    let top = find(&first, "sys/small");
    // The look-up does not call the view.
    assert_eq!((top.kind, top.uid, top.gid), (NodeKind::Directory, 0, 0));
    let top = first.attributes(top.number, None, host(0)).unwrap();
    assert_eq!((top.kind, top.uid, top.gid), (NodeKind::Directory, 7, 8));
    let file = first
        .lookup(top.number, OsStr::new("file"), host(0))
        .unwrap();
    assert!(file.lasting);
    let number = file.attributes.number;
    assert_eq!(number, find(&second, "sys/small/file").number);
    let (handle, _) = first.open(number, READ, host(0)).unwrap();
    assert_eq!(read(&first, number, handle, 0).unwrap(), b"text");
    assert_eq!(read(&second, number, handle, 2).unwrap(), b"xt");
    let listed = second.list(top.number, host(0)).unwrap();
    assert_eq!(listed[2], ("file".into(), number, NodeKind::File));
    let errno = |error: DispatchError| error.errno();
    assert_eq!(
        first.attributes(number ^ 1, None, host(0)).map_err(errno),
        Err(libc::ESTALE)
    );
    assert_eq!(
        first.open(top.number, READ, host(0)).map_err(errno),
        Err(libc::EISDIR)
    );
}

#[test]
fn a_tree_view_decides_who_sees_what() {
    let dispatcher = dispatcher();
    let top = find(&dispatcher, "sys/small").number;
    let lookup = |uid| dispatcher.lookup(top, OsStr::new("root"), host(uid));
    assert!(!lookup(0).unwrap().lasting);
    assert_eq!(lookup(1).unwrap_err().errno(), libc::ENOMEM);
    let missing = dispatcher.lookup(top, OsStr::new("none"), host(1));
    assert_eq!(missing.unwrap_err().errno(), libc::ENOENT);
}

#[test]
fn what_cannot_be_changed_says_so() {
    let dispatcher = dispatcher();
    let (top, uptime) = (
        find(&dispatcher, "sys/small").number,
        find(&dispatcher, "proc/uptime"),
    );
    let file = find(&dispatcher, "sys/small/file").number;
    let name = OsStr::new("x");
    let mode = Change {
        mode: Some(0o777),
        ..Change::default()
    };
    let errors = [
        (dispatcher.open(file, WRITE, host(0)).err(), libc::EACCES),
        (
            dispatcher.write(file, (1, WRITE), b"x", host(0)).err(),
            libc::EACCES,
        ),
        (
            dispatcher
                .write(uptime.number, (1, WRITE), b"x", host(0))
                .err(),
            libc::EIO,
        ),
        (
            dispatcher.make_directory(top, name, 0, host(0)).err(),
            libc::EPERM,
        ),
        (
            dispatcher
                .make_directory(number::ROOT, name, 0, host(0))
                .err(),
            libc::EPERM,
        ),
        (
            dispatcher.remove_directory(top, name, host(0)).err(),
            libc::EPERM,
        ),
        (dispatcher.change(file, mode, host(0)).err(), libc::EPERM),
        (
            dispatcher.change(uptime.number, mode, host(0)).err(),
            libc::EPERM,
        ),
        (
            dispatcher.read_link(file, host(0), &mut Vec::new()).err(),
            libc::EINVAL,
        ),
        (
            dispatcher
                .read_link(uptime.number, host(0), &mut Vec::new())
                .err(),
            libc::EINVAL,
        ),
    ];
    for (index, (error, errno)) in errors.into_iter().enumerate() {
        assert_eq!(error.map(|e| e.errno()), Some(errno), "{index}");
    }
}
