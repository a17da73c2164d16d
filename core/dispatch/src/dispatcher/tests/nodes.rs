//! Name look-ups per caller, and the caching of their results by the kernel.

use super::*;

/// All callers share the kernel's dentries: upon any error but ENOMEM and EINTR the kernel drops
/// the name with all mounts on it.
#[test]
fn a_name_that_somebody_has_is_never_missing() {
    let dispatcher = dispatcher();
    let unseen = Asker { tid: 0, ..host(0) };
    let errno = |parent, name: &str, asker| {
        let found = dispatcher.lookup(parent, OsStr::new(name), asker);
        found.map_err(|error| error.errno()).err()
    };
    let at = find(&dispatcher, "at").number;
    let own = find(&dispatcher, "c").number;
    let small = find(&dispatcher, "sys/small").number;
    for asker in [host(1000), unseen] {
        for (parent, name) in [
            (number::ROOT, "at"),
            (number::ROOT, "metrics"),
            (at, "proc"),
            (own, "0123456789"),
            (small, "root"),
        ] {
            assert_eq!(errno(parent, name, asker), Some(libc::ENOMEM), "{name}");
        }
        // Visible to every caller.
        let sys = find(&dispatcher, "sys").number;
        let proc = find(&dispatcher, "proc").number;
        for (parent, name) in [
            (number::ROOT, "self"),
            (number::ROOT, "c"),
            (sys, "small"),
            (proc, "uptime"),
        ] {
            assert_eq!(errno(parent, name, asker), None, "{name}");
        }
        for (parent, name) in [
            (number::ROOT, "none"),
            (own, "none"),
            (own, "012345678X"),
            (proc, "none"),
        ] {
            assert_eq!(errno(parent, name, asker), Some(libc::ENOENT), "{name}");
        }
    }
}

/// For every caller, in every process.
#[test]
fn a_path_is_one_node() {
    let (first, second) = (
        dispatcher(),
        dispatcher().with_ttl(Duration::from_millis(50)),
    );
    for path in [
        "proc",
        "proc/uptime",
        "sys/small",
        "self",
        "c",
        "c/0123456789/proc/uptime",
    ] {
        let node = find(&first, path).number;
        assert_eq!(node, find(&second, path).number, "{path}");
    }
    let proc = find(&first, "proc").number;
    let unseen = Asker { tid: 0, ..host(0) };
    let entry = second.lookup(proc, OsStr::new("uptime"), unseen).unwrap();
    assert!(entry.lasting);
    assert_eq!(entry.attributes.number, find(&first, "proc/uptime").number);
}

#[test]
fn own_directories_have_what_is_a_file() {
    let usual = dispatcher();
    let names = |dispatcher: &Dispatcher, path: &str| {
        let listed = dispatcher
            .list(find(dispatcher, path).number, host(0))
            .unwrap();
        let names = listed
            .into_iter()
            .skip(2)
            .map(|(name, ..)| name.into_string().unwrap());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&usual, "c/0123456789"), ["proc"]);
    let all = ["guarded", "no-such-file", "uptime"];
    assert_eq!(names(&usual, "c/0123456789/proc"), all);
    assert!(names(&usual, "c").is_empty(), "nobody has asked");
    let without_open = dispatcher()
        .with_ttl(Duration::from_millis(50))
        .without_open();
    let cached = ["no-such-file", "uptime"];
    assert_eq!(names(&without_open, "c/0123456789/proc"), cached);
    let root = without_open.list(number::ROOT, host(0)).unwrap();
    let root: Vec<_> = root
        .iter()
        .map(|(name, ..)| name.to_str().unwrap())
        .collect();
    assert_eq!(root, [".", "..", "c", "self"]);
    let shared = find(&usual, "proc/uptime").number;
    for (outcome, errno) in [
        (
            without_open.attributes(shared, None, host(0)).err(),
            libc::ESTALE,
        ),
        (
            without_open
                .lookup(number::ROOT, OsStr::new("proc"), host(0))
                .err(),
            libc::ENOENT,
        ),
        (without_open.open(shared, READ, host(0)).err(), libc::ENOSYS),
    ] {
        assert_eq!(outcome.unwrap().errno(), errno);
    }
}

/// A caller that is in no container has no own files.
#[test]
fn self_leads_to_the_shared_files_from_the_host() {
    let (usual, without_open) = (dispatcher(), dispatcher().without_open());
    let target = |dispatcher: &Dispatcher, asker| {
        let mut target = Vec::new();
        let read = dispatcher.read_link(find(dispatcher, "self").number, asker, &mut target);
        read.map(|()| target).map_err(|error| error.errno())
    };
    for asker in [host(0), Asker { tid: 0, ..host(0) }] {
        assert_eq!(target(&usual, asker), Ok(b".".to_vec()));
        assert_eq!(target(&without_open, asker), Err(libc::ENOENT));
    }
}

/// Reads without a lock owner go to the page cache, which all descriptors of a node share.
#[test]
fn no_page_is_filled_for_a_stranger() {
    let dispatcher = dispatcher().with_ttl(Duration::from_millis(50));
    let shared = find(&dispatcher, "proc/uptime").number;
    let own = find(&dispatcher, "c/0123456789/proc/uptime").number;
    let written = find(&dispatcher, "c/0123456789/proc/guarded").number;
    let page = |number, handle| {
        let piece = (0, 4096);
        let read = dispatcher.read_page(number, handle, piece, host(0), |_| ());
        read.map_err(|error| error.errno())
    };
    let open = |number| {
        let (handle, cache) = dispatcher.open(number, READ, host(0)).unwrap();
        assert_eq!(cache, PageCache::Bypassed);
        handle
    };
    // A handle of this worker, and one of an earlier worker.
    for handle in [open(shared), 0xdead] {
        assert_eq!(page(shared, handle), Err(libc::EINVAL));
    }
    assert_eq!(page(written, open(written)), Err(libc::EINVAL));
    assert_eq!(page(own, open(own)), Err(libc::EINVAL));
    assert_eq!(page(own, 0xdead), Err(libc::ESTALE));
    // The request did not make it the owner's.
    assert_eq!(page(own, 0xdead), Err(libc::ESTALE));
    assert_eq!(dispatcher.counts().0, 3, "nothing was adopted");
}

/// So that no user in a container owns it and can block other openers with a lease.
#[test]
fn a_shared_file_of_a_tree_has_no_owner() {
    let dispatcher = dispatcher();
    let uid = |path| find(&dispatcher, path).uid;
    for path in ["at/proc/uptime", "sys/small/file"] {
        assert_eq!(uid(path), u32::MAX, "{path}");
    }
    // These are held open, or only for root, or one container's, or not files.
    for path in [
        "proc/guarded",
        "proc/uptime",
        "metrics",
        "c/0123456789/proc/uptime",
        "proc",
        "self",
    ] {
        assert_eq!(uid(path), 0, "{path}");
    }
}
