use std::path::Path;
use std::time::Duration;

use vistafs_cgroup::Hierarchies;
use vistafs_host::Host;
use vistafs_view::{Options, Selection, ViewError, ViewSpec};

use super::*;

#[derive(Debug)]
struct Unused;

impl View for Unused {
    fn render(&self, _: &mut Context<'_>, _: &mut Vec<u8>) -> Result<(), ViewError> {
        Ok(())
    }
}

const fn spec(name: &'static str, path: &'static str) -> ViewSpec {
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

static UPTIME: ViewSpec = spec("uptime", "proc/uptime");
static MISSING: ViewSpec = spec("missing", "proc/no-such-file");

fn dispatcher() -> Dispatcher {
    let host = Arc::new(Host::running(Duration::ZERO).unwrap());
    let none = Arc::new(Hierarchies::discover(b"", Path::new("/")).unwrap());
    let containers = Containers::new(host, none).unwrap();
    let registry = Registry::new([&UPTIME, &MISSING], &Selection::default()).unwrap();
    Dispatcher::new(containers, &registry, Policy::default())
}

/// This very process, which is in no container as far as the dispatcher can tell.
fn host(uid: u32) -> Asker {
    Asker {
        tid: std::process::id(),
        uid,
    }
}

fn find(dispatcher: &Dispatcher, path: &str) -> Attributes {
    let mut number = number::ROOT;
    let mut found = dispatcher.attributes(number).unwrap();
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
        .read(number, handle, offset, 4096, host(0), reply)
        .map(|()| text)
}

/// What a worker that takes over from another relies on.
#[test]
fn another_dispatcher_understands_nodes_and_handles_of_this_one() {
    let (first, second) = (dispatcher(), dispatcher());
    let file = find(&first, "proc/uptime");
    assert_eq!(file.number, find(&second, "proc/uptime").number);
    let handle = first.open(file.number, host(0)).unwrap();
    assert!(!read(&first, file.number, handle, 0).unwrap().is_empty());
    let afresh = read(&second, file.number, handle, 3).unwrap();
    assert!(
        afresh.ends_with(b"\n"),
        "it is rendered, and read from the offset"
    );
    second.close(handle);
    first.close(handle);
    assert_eq!((first.counts(), second.counts()), ((0, 0), (0, 0)));
}

#[test]
fn a_host_file_that_is_missing_is_an_error() {
    let dispatcher = dispatcher();
    let file = find(&dispatcher, "proc/no-such-file");
    let handle = dispatcher.open(file.number, host(0)).unwrap();
    let error = read(&dispatcher, file.number, handle, 0).unwrap_err();
    assert_eq!(error.errno(), libc::EIO);
}

#[test]
fn directories_are_no_files_and_files_no_directories() {
    let dispatcher = dispatcher();
    let (proc, file) = (
        find(&dispatcher, "proc").number,
        find(&dispatcher, "proc/uptime").number,
    );
    let errno = |result: Result<u64, DispatchError>| result.unwrap_err().errno();
    assert_eq!(errno(dispatcher.open(proc, host(0))), libc::EISDIR);
    assert_eq!(
        errno(dispatcher.open_directory(file, host(0))),
        libc::ENOTDIR
    );
    let below = dispatcher.lookup(file, OsStr::new("x"), host(0));
    assert_eq!(below.unwrap_err().errno(), libc::ENOTDIR);
    assert_eq!(errno(dispatcher.open(0xdead, host(0))), libc::ESTALE);
    assert_eq!(
        errno(dispatcher.open(file, Asker { tid: 0, uid: 0 })),
        libc::EACCES
    );
}

#[test]
fn addresses_are_for_root_and_are_forgotten() {
    let dispatcher = dispatcher();
    let at = |uid| dispatcher.lookup(number::ROOT, OsStr::new("at"), host(uid));
    assert_eq!(at(1000).unwrap_err().errno(), libc::ENOENT);
    let entry = at(0).unwrap();
    assert!(!entry.lasting);
    let again = at(0).unwrap();
    assert_eq!(entry, again);
    let number = entry.attributes.number;
    assert_eq!(dispatcher.counts().1, 1);
    dispatcher.forget(number, 1);
    assert!(dispatcher.attributes(number).is_ok());
    dispatcher.forget(number, 1);
    assert_eq!(
        dispatcher.attributes(number).unwrap_err().errno(),
        libc::ESTALE
    );
    assert_eq!(dispatcher.counts().1, 0);
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
        let add = |next: u64, _: u64, _: Kind, name: &OsStr| {
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
    assert_eq!(names, [".", "..", "no-such-file", "uptime"]);
    dispatcher.close_directory(handle);
}
