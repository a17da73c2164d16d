use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use vistafs_container::budgets;
use vistafs_view::{Context, Policy, Registry, Selection, View, ViewError, ViewSpec};

use std::ffi::OsStr;

use super::*;
use crate::dispatcher::tests::{CHANGING, GUARDED, READ, SMALL, UPTIME, find, host, spec};
use vistafs_container::Containers;
use vistafs_host::Host;

/// Whether the view below walks.
static WALKS: AtomicBool = AtomicBool::new(false);

#[derive(Debug)]
struct Walks;

impl View for Walks {
    fn render(&self, _: &mut Context<'_>, _: &mut Vec<u8>) -> Result<(), ViewError> {
        Ok(())
    }

    fn must_walk(&self, _: &Container) -> bool {
        WALKS.load(Ordering::Relaxed)
    }
}

static WALKING: ViewSpec = ViewSpec {
    build: |_| Provider::File(Arc::new(Walks)),
    ..spec("walking", "proc/walking")
};

#[derive(Debug)]
struct Waits;

impl View for Waits {
    fn render(&self, _: &mut Context<'_>, _: &mut Vec<u8>) -> Result<(), ViewError> {
        Ok(())
    }

    fn takes_time(&self) -> bool {
        true
    }
}

static WAITING: ViewSpec = ViewSpec {
    build: |_| Provider::File(Arc::new(Waits)),
    ..spec("waiting", "proc/waiting")
};

fn dispatcher() -> Dispatcher {
    let host = Arc::new(Host::running(Duration::ZERO).unwrap());
    let none = vistafs_cgroup::Hierarchies::discover(b"", std::path::Path::new("/")).unwrap();
    let views = [&UPTIME, &SMALL, &GUARDED, &CHANGING, &WALKING, &WAITING];
    let registry = Registry::new(views, &Selection::default()).unwrap();
    let containers = Containers::new(host, Arc::new(none)).unwrap();
    Dispatcher::new(containers, &registry, Policy::default())
}

/// Creates a container with its own account that counts as fast.
fn container(dispatcher: &Dispatcher) -> Arc<Container> {
    let hierarchies = dispatcher.containers.hierarchies();
    let located = hierarchies.locate_directories([]).unwrap();
    let container = Container::new(hierarchies, located, Duration::ZERO, Default::default());
    let container = Arc::new(container);
    while container.account().pace.is_above_share() {
        std::thread::yield_now();
    }
    container
}

fn opened(dispatcher: &Dispatcher, path: &str, container: &Arc<Container>) -> (u64, u64) {
    let node = find(dispatcher, path).number;
    let view = dispatcher.views.iter().position(|view| view.path == path);
    let shows = Shows::Container(Arc::clone(container));
    let file = OpenFile::new(view.unwrap(), NodeId::TOP, shows, READ);
    (node, dispatcher.open_files.open(file).unwrap())
}

fn read((node, handle): (u64, u64)) -> Asks {
    Asks::Read {
        node,
        handle,
        for_page_cache: false,
    }
}

fn turn(dispatcher: &Dispatcher, asks: Asks) -> Turn {
    dispatcher.turn(&dispatcher.target(asks), host(0))
}

fn is_now(dispatcher: &Dispatcher, asks: Asks) -> bool {
    matches!(turn(dispatcher, asks), Turn::Now(_))
}

fn waits_in(turn: &Turn) -> Option<&Arc<Queue>> {
    match turn {
        Turn::Later(queue, ..) => Some(queue),
        _ => None,
    }
}

#[test]
fn a_container_that_is_above_its_share_waits_alone() {
    let dispatcher = dispatcher();
    let [slow, other] = [(); 2].map(|()| container(&dispatcher));
    let of_slow = opened(&dispatcher, "proc/uptime", &slow);
    let of_other = opened(&dispatcher, "proc/uptime", &other);
    assert!(is_now(&dispatcher, read(of_slow)));
    slow.account()
        .pace
        .charge(Duration::from_secs(1), Instant::now());
    let later = turn(&dispatcher, read(of_slow));
    assert!(Arc::ptr_eq(waits_in(&later).unwrap(), &slow.account().work));
    assert!(is_now(&dispatcher, read(of_other)));
    // Requests with the same result for every caller cost nothing.
    let (node, _) = of_slow;
    assert!(is_now(&dispatcher, Asks::Attributes(node, None)));
}

#[test]
fn what_walks_waits_as_long_as_it_would_walk() {
    let dispatcher = dispatcher();
    let container = container(&dispatcher);
    let file = opened(&dispatcher, "proc/walking", &container);
    assert!(is_now(&dispatcher, read(file)));
    WALKS.store(true, Ordering::Relaxed);
    let later = turn(&dispatcher, read(file));
    assert!(Arc::ptr_eq(
        waits_in(&later).unwrap(),
        &container.account().work
    ));
    WALKS.store(false, Ordering::Relaxed);
    assert!(is_now(&dispatcher, read(file)));
}

#[test]
fn what_waits_for_others_has_a_queue_of_its_own() {
    let dispatcher = dispatcher();
    let container = container(&dispatcher);
    let file = opened(&dispatcher, "proc/waiting", &container);
    let later = turn(&dispatcher, read(file));
    let account = container.account();
    assert!(Arc::ptr_eq(waits_in(&later).unwrap(), &account.waits));
}

/// The kernel holds the lock of a directory or file that all containers share.
#[test]
fn nothing_waits_that_others_wait_for() {
    let dispatcher = dispatcher();
    let container = container(&dispatcher);
    let pace = &container.account().pace;
    pace.charge(Duration::from_secs(1), Instant::now());
    dispatcher
        .containers
        .host_account()
        .pace
        .charge(Duration::from_secs(1), Instant::now());
    let tree = find(&dispatcher, "sys/small").number;
    let file = find(&dispatcher, "sys/small/file").number;
    assert!(is_now(&dispatcher, Asks::LookUp(tree)));
    assert!(is_now(&dispatcher, Asks::Change(tree)));
    let guarded = opened(&dispatcher, "proc/guarded", &container);
    assert!(is_now(&dispatcher, Asks::Write(guarded.0, guarded.1)));
    // The kernel holds no lock for these.
    for asks in [Asks::List(tree), Asks::Attributes(file, None)] {
        assert!(!is_now(&dispatcher, asks), "{asks:?}");
    }
}

#[test]
fn what_is_refused_does_not_wait() {
    let dispatcher = dispatcher();
    let container = container(&dispatcher);
    let (node, handle) = opened(&dispatcher, "proc/waiting", &container);
    let for_page_cache = Asks::Read {
        node,
        handle,
        for_page_cache: true,
    };
    assert!(is_now(&dispatcher, for_page_cache));
    let none = Asker { tid: 0, ..host(0) };
    let target = dispatcher.target(Asks::Open(node, READ));
    let refused = dispatcher.turn(&target, none);
    assert!(matches!(refused, Turn::Refused(error) if error.errno() == libc::EACCES));
}

#[test]
fn a_pair_in_quarantine_is_refused_and_no_other() {
    let dispatcher = dispatcher();
    let container = container(&dispatcher);
    let [uptime, walking] =
        ["proc/uptime", "proc/walking"].map(|path| opened(&dispatcher, path, &container));
    dispatcher.quarantine([
        ("uptime", container.account().tag()),
        ("walking", container.account().tag() ^ 1),
    ]);
    let refused = turn(&dispatcher, read(uptime));
    assert!(matches!(refused, Turn::Refused(error) if error.errno() == libc::EIO));
    assert!(is_now(&dispatcher, read(walking)));
}

#[test]
fn who_is_charged_is_the_same_from_open_to_close() {
    let dispatcher = dispatcher();
    let container = container(&dispatcher);
    let tag = container.account().tag();
    let (node, handle) = opened(&dispatcher, "proc/uptime", &container);
    dispatcher.quarantine([("uptime", tag)]);
    let of = |asks| dispatcher.tag(&dispatcher.target(asks), None);
    assert_eq!(of(read((node, handle))), Some(tag));
    assert_eq!(of(Asks::Close(handle)), Some(tag));
    // A quarantined file can be closed.
    assert!(is_now(&dispatcher, Asks::Close(handle)));
    for asks in [Asks::Nothing, Asks::Close(handle + 1)] {
        assert_eq!(of(asks), None);
    }
}

/// Reads one byte of each of thousands of files.
#[test]
fn what_open_files_hold_is_bounded() {
    let dispatcher = dispatcher();
    let node = find(&dispatcher, "sys/changing/file").number;
    let held = &dispatcher.containers.host_account().held;
    let read = |handle: u64, offset: u64| {
        let mut bytes = 0;
        let reply = |text: &[u8]| bytes = text.len();
        let read = dispatcher.read(node, (handle, READ), offset, 1, host(0), reply);
        read.map(|()| bytes).map_err(|error| error.errno())
    };
    // The shortest is 1,000 bytes long.
    let count = budgets::HELD_BYTES / 1000 + 1;
    let open = || dispatcher.open(node, READ, host(0)).unwrap().0;
    let handles: Vec<u64> = (0..count).map(|_| open()).collect();
    for handle in &handles {
        assert_eq!(read(*handle, 0), Ok(1));
        assert!(held.bytes() <= budgets::HELD_BYTES);
    }
    assert_eq!(held.files(), count);
    let (first, last) = (handles[0], handles[count - 1]);
    assert_eq!((read(last, 1), read(first, 1)), (Ok(1), Err(libc::EIO)));
    assert_eq!(read(first, 0), Ok(1), "it begins anew");
    handles
        .into_iter()
        .for_each(|handle| dispatcher.close(handle));
    assert_eq!((held.bytes(), held.files()), (0, 0));
}

#[test]
fn a_directory_whose_listing_was_let_go_is_listed_again() {
    let dispatcher = dispatcher();
    let node = find(&dispatcher, "proc").number;
    let handle = dispatcher.open_directory(node, host(0)).unwrap();
    let held = &dispatcher.containers.host_account().held;
    assert!(held.bytes() > 0 && is_now(&dispatcher, Asks::ListOn(node, handle)));
    let file = find(&dispatcher, "sys/changing/file").number;
    let mut handles = Vec::new();
    while dispatcher.open_files.listing(handle).is_some() {
        let (file_handle, _) = dispatcher.open(file, READ, host(0)).unwrap();
        handles.push(file_handle);
        dispatcher
            .read(file, (file_handle, READ), 0, 1, host(0), |_| ())
            .unwrap();
    }
    let mut names = 0;
    let add = |_: u64, _: u64, _, _: &OsStr| {
        names += 1;
        false
    };
    dispatcher
        .read_directory(node, handle, 0, host(0), add)
        .unwrap();
    assert!(names > 2);
    dispatcher.close_directory(handle);
    handles
        .into_iter()
        .for_each(|handle| dispatcher.close(handle));
    assert_eq!((held.bytes(), held.files()), (0, 0));
}

/// The check of a directory walks up all levels that the container has created.
#[test]
fn a_containers_directory_is_looked_at_once() {
    let dispatcher = dispatcher();
    let (one, moved) = (container(&dispatcher), container(&dispatcher));
    let own = OwnDirectories::default();
    let of = |number| (0, NodeId::from_hash(number));
    let unasked = || unreachable!("it is known");
    assert!(!own.is_shared(&one, of(7), || false));
    assert!(!own.is_shared(&one, of(7), unasked));
    // A shared directory is checked each time.
    assert!(own.is_shared(&one, of(8), || true));
    assert!(!own.is_shared(&one, of(8), || false));
    // After a move, an own directory may belong to another container.
    assert!(own.is_shared(&moved, of(7), || true));
    for number in 0..3 * OwnDirectories::MOST as u64 {
        assert!(!own.is_shared(&moved, of(number), || false));
    }
    assert!(own.0.lock().1.len() <= OwnDirectories::MOST);
}
