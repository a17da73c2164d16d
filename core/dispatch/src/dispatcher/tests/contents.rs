//! The contents of open files across processes.

use super::*;

/// A file whose contents and length change at each rendering.
#[derive(Debug)]
struct Changing(AtomicUsize);

impl TreeView for Changing {
    fn lookup(
        &self,
        _: &mut Request<'_>,
        _: NodeId,
        _: &OsStr,
    ) -> Result<NodeAttributes, ViewError> {
        Ok(Small::node(FILE))
    }

    fn attributes(&self, _: &mut Request<'_>, node: NodeId) -> Result<NodeAttributes, ViewError> {
        Ok(Small::node(node))
    }

    fn list(
        &self,
        _: &mut Request<'_>,
        _: NodeId,
        _: &mut dyn FnMut(&OsStr, NodeId, NodeKind),
    ) -> Result<(), ViewError> {
        Ok(())
    }

    fn open(&self, _: &mut Request<'_>, _: NodeId, _: Access) -> Result<(), ViewError> {
        Ok(())
    }

    fn read(&self, _: &mut Request<'_>, _: NodeId, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let count = CHANGES.fetch_add(1, Ordering::Relaxed) + self.0.load(Ordering::Relaxed);
        let letter = b'a' + u8::try_from(count % 26).unwrap();
        out.resize(1000 + count % 3000, letter);
        Ok(())
    }
}

static CHANGES: AtomicUsize = AtomicUsize::new(0);
pub(crate) static CHANGING: ViewSpec = ViewSpec {
    build: |_: &Options| Provider::Tree(Arc::new(Changing(AtomicUsize::new(0)))),
    ..spec("changing", "sys/changing")
};

fn is_one_text(text: &[u8]) -> bool {
    text.len() >= 1000 && text.iter().all(|letter| *letter == text[0])
}

/// A reader gets the parts of one rendering even if the process ends in between: after a reply, or
/// before it (then the successor gets the same request).
#[test]
fn a_text_is_one_text_across_processes() {
    let handover = Handover::create().unwrap();
    let next = || {
        let adopted = Handover::adopt(handover.as_fd().try_clone_to_owned().unwrap()).unwrap();
        adopted.begin_generation();
        dispatcher_with(Some(adopted))
    };
    let mut dispatcher = next();
    let number = find(&dispatcher, "sys/changing/file").number;
    let mut random = 7_u32;
    let mut dice = |sides: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) % sides
    };
    let mut deaths = 0;
    for round in 0..2000 {
        let (handle, _) = dispatcher.open(number, READ, host(0)).unwrap();
        let size = [100, 1024, 4096][round % 3];
        let mut text = Vec::new();
        loop {
            if dice(8) == 0 {
                // Before its reply was sent.
                let offset = text.len() as u64;
                dispatcher
                    .read(number, (handle, READ), offset, size, host(0), |_| ())
                    .unwrap();
                dispatcher = next();
                deaths += 1;
            }
            let mut piece = Vec::new();
            let reply = |bytes: &[u8]| piece.extend_from_slice(bytes);
            let offset = text.len() as u64;
            dispatcher
                .read(number, (handle, READ), offset, size, host(0), reply)
                .unwrap();
            if dice(4) == 0 {
                dispatcher = next();
                deaths += 1;
            }
            if piece.is_empty() {
                break;
            }
            text.extend_from_slice(&piece);
        }
        assert!(
            is_one_text(&text),
            "{round}: {}",
            String::from_utf8_lossy(&text)
        );
        dispatcher.close(handle);
    }
    assert!(deaths > 1000);
    // No records are left.
    let numbers =
        (1..=deaths + 1).flat_map(|generation| (1..16).map(move |n| generation << 40 | n));
    assert_eq!(
        numbers
            .filter(|n| handover.adopt_handle(*n).is_some())
            .count(),
        0
    );
}

#[test]
fn a_text_that_was_not_kept_is_an_error_and_then_begins_anew() {
    let handover = Handover::create().unwrap();
    let next = || {
        handover.begin_generation();
        dispatcher_with(Some(Arc::clone(&handover)))
    };
    let dispatcher = next();
    let number = find(&dispatcher, "sys/changing/file").number;
    let handles: Vec<u64> = (0..300)
        .map(|_| dispatcher.open(number, READ, host(0)).unwrap().0)
        .collect();
    let piece = |dispatcher: &Dispatcher, handle: u64, offset: u64| {
        let mut text = Vec::new();
        let reply = |bytes: &[u8]| text.extend_from_slice(bytes);
        let read = dispatcher.read(number, (handle, READ), offset, 100, host(0), reply);
        read.map(|()| text).map_err(|error| error.errno())
    };
    for handle in &handles {
        assert_eq!(
            piece(&dispatcher, *handle, 0).map(|text| text.len()),
            Ok(100)
        );
    }
    let second = next();
    // All callers on the host together have room for 256.
    let (kept, lost) = (handles[255], handles[256]);
    assert_eq!(piece(&second, kept, 100).map(|text| text.len()), Ok(100));
    assert_eq!(piece(&second, lost, 100), Err(libc::EIO));
    assert_eq!(piece(&second, lost, 100), Err(libc::EIO));
    assert_eq!(piece(&second, lost, 0).map(|text| text.len()), Ok(100));
    assert_eq!(piece(&second, lost, 100).map(|text| text.len()), Ok(100));
}
