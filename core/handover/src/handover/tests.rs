use proptest::prelude::*;
use rustix::fs::{MemfdFlags, SealFlags};

use super::*;
use crate::layout::{
    addresses, before, containers, handles, pollers, requests, slots, texts, written,
};
use crate::region::checksum;
use crate::{ContainerKey, Request, Shown};

/// Records of so many bytes are in the memory that the tests below lay out by hand.
const RECORD: usize = 1024;

/// Memory with these words at these bytes, as another vistafs leaves it.
fn memory(length: usize, words: &[(usize, u64)]) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = rustix::fs::memfd_create("test", flags).unwrap();
    rustix::fs::ftruncate(&memory, length as u64).unwrap();
    for (at, word) in words {
        rustix::io::pwrite(&memory, &word.to_le_bytes(), *at as u64).unwrap();
    }
    rustix::fs::fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW).unwrap();
    memory
}

const VISTAFSH: u64 = 0x6873_6661_7473_6976;
const LENGTH: usize = 37_270_528 + 4096 * 6 * (16 + 2 * (32 + RECORD));

/// Of layout 1.1.
const LENGTH_1_1: usize = LENGTH + 16_384 * 128;

/// Of layout 2.0: slots from 128 bytes to 4 KiB.
const LENGTH_NOW: usize =
    39_370_752 + 4096 * (128 + 196 + 256 + 410 + 512 + 820 + 1024 + 1366 + 2048 + 4096);

/// Where the container has its head and its record: 1.0.
fn before() -> (usize, usize) {
    let home = home();
    (
        37_008_384 + home * 64,
        37_270_528 + home * 6 * (16 + 2 * (32 + RECORD)),
    )
}

/// The same of layout 2: it has the first of the smallest slots.
fn now() -> (usize, usize) {
    (37_011_456 + home() * 64, 39_370_752)
}

fn home() -> usize {
    let [_, second] = ContainerKey::new(b"golden").words();
    usize::try_from(second % 4096).unwrap()
}

/// As layout 1.0 has it. Generation 3; a request, a handle with its text, a record.
fn golden() -> Vec<(usize, u64)> {
    let mut words = begun();
    words.extend([(8, 1 << 32)]);
    words.extend(remembered(before(), RECORD));
    words
}

/// As layout 2.0 has it.
fn golden_now() -> Vec<(usize, u64)> {
    let (head, record) = now();
    let mut words = begun();
    words.extend([(8, 2 << 32), (head + 32, 1 << 32)]);
    words.push((record + 8, (home() as u64 + 1) << 32));
    words.extend(remembered(now(), 24));
    words
}

/// A container with one record; its newer place was not finished. `room`: of a place, in bytes.
fn remembered((head, record): (usize, usize), room: usize) -> [(usize, u64); 10] {
    let [first, second] = ContainerKey::new(b"golden").words();
    [
        (head, 3 << 32 | 2),
        (head + 8, first),
        (head + 16, second),
        (head + 24, 1),
        (record, 6_060_935_177_029_501_726),
        (record + 16, 6),
        (record + 24, 7),
        (record + 32, checksum(b"a text\n")),
        (record + 48, u64::from_le_bytes(*b"a text\n\0")),
        (record + 48 + room, 7),
    ]
}

/// What all layouts have at the same places.
fn begun() -> Vec<(usize, u64)> {
    let text = u64::from_le_bytes(*b"a text\n\0");
    vec![
        (0, VISTAFSH),
        (16, 3),
        (24, RECORD as u64),
        // The second request: state, number, start, opcode and size, node, handle, offset, ...
        (4096 + 256, 3 << 32 | 2),
        (4096 + 264, 42),
        (4096 + 272, 1_000_000_001),
        (4096 + 280, 15 << 32 | 4096),
        (4096 + 288, 7),
        (4096 + 296, 8),
        (4096 + 304, 9),
        (4096 + 312, 100 << 32 | 1000),
        (4096 + 320, 2000 << 32 | 0o100_000),
        (4096 + 328, 11),
        (4096 + 336, 4 << 32 | 2),
        (4096 + 344, 1),
        (4096 + 352, u64::from_le_bytes(*b"stat\0\0\0\0")),
        (4096 + 376, u64::from_le_bytes(*b"no\0\0\0\0\0\0")),
        // The third is being filled.
        (4096 + 512, 3 << 32 | 1),
        (4096 + 520, 44),
        // Handle 5 with a text of 7 bytes, the first one.
        (266_240 + 5 * 16, 5),
        (266_240 + 5 * 16 + 8, 7 << 32 | 1),
        (1_314_816, 5),
        (1_314_824, 7),
        (1_314_832, checksum(b"a text\n")),
        (1_348_608, text),
        // Handle 6, read to its end.
        (266_240 + 6 * 16, 6),
        (266_240 + 6 * 16 + 8, 1500 << 32 | 0xffff_fffe),
    ]
}

/// Whoever changes this makes a new major version: what is upgraded from has this layout.
#[test]
fn the_layout_is_fixed() {
    assert_eq!(MAGIC, VISTAFSH);
    assert_eq!(
        ContainerKey::new(b"golden").words(),
        [10_236_097_150_455_752_438, 18_103_108_971_049_542_868]
    );
    assert_eq!(checksum(b"a text\n"), 15_075_379_789_958_327_755);
    let firsts = [
        requests::FIRST,
        handles::FIRST,
        texts::FIRST,
        texts::bytes_of(0).0,
        texts::bytes_of(texts::SMALL).0,
        addresses::FIRST,
        pollers::FIRST,
        containers::FIRST_BEFORE,
        before::BEGUN,
        before::end_of_first(RECORD),
        before::end(RECORD),
        containers::FIRST,
        written::FIRST,
        slots::FIRST,
        layout::end(RECORD),
    ];
    assert_eq!(
        firsts.map(|words| words * WORD),
        [
            4096, 266_240, 1_314_816, 1_348_608, 18_125_824, 34_903_040, 37_000_192, 37_008_384,
            37_270_528, LENGTH, LENGTH_1_1, 37_011_456, 37_273_600, 39_370_752, LENGTH_NOW
        ]
    );
    let of_slots = slots::SIZES.map(|size| size.slot_words() * WORD);
    assert_eq!(
        of_slots[..10],
        [128, 192, 256, 400, 512, 816, 1024, 1360, 2048, 4096]
    );
    let pages = of_slots[10..].iter().map(|bytes| bytes / 4096);
    assert!(pages.eq([2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 65]));
    assert_eq!(slots::sizes(*RECORD_BYTES.end()).len(), 21);
}

/// What 1.1 has added to the words of 1.0, and where it is in 2.0.
#[test]
fn what_was_written_is_where_it_was() {
    let [first, second] = ContainerKey::new(b"golden").words();
    let added = |begin: usize| {
        let place = begin + 5 * 128;
        [
            (place, 5),
            (place + 8, first),
            (place + 16, second),
            (place + 24, 8),
            (place + 32, checksum(b"a text\n")),
            (place + 40, u64::from_le_bytes(*b"a text\n\0")),
        ]
    };
    let mut of_1_1 = golden();
    of_1_1.retain(|(byte, _)| *byte != 8);
    of_1_1.push((8, 1 << 32 | 1));
    let mut of_2_0 = golden_now();
    of_2_0.push((40, 1));
    for (mut words, begin, length) in [
        (of_1_1, LENGTH, LENGTH_1_1),
        (of_2_0, 37_273_600, LENGTH_NOW),
    ] {
        words.extend(added(begin));
        let handover = Handover::adopt(memory(length, &words)).unwrap();
        let written = handover.written(5, ContainerKey::new(b"golden"));
        assert_eq!(written, Some(b"a text\n".to_vec()));
    }

    let handover = Handover::with_records(RECORD).unwrap();
    assert!(handover.keep_written(5, ContainerKey::new(b"golden"), b"a text\n"));
    for (byte, word) in added(37_273_600) {
        let at = handover.region.words(byte / WORD, 1)[0].load(Ordering::Relaxed);
        assert_eq!(at, word, "at byte {byte}");
    }
}

#[test]
fn memory_of_an_earlier_version_is_taken_over() {
    let handover = Handover::adopt(memory(LENGTH, &golden())).unwrap();
    is_taken_over(&handover);
    // It has no room for what came later.
    let key = ContainerKey::new(b"golden");
    assert!(!handover.keep_written(5, key, b"text"));
    assert_eq!(handover.written(5, key), None);
    handover.forget_written(5);
}

#[test]
fn memory_of_this_version_is_taken_over() {
    is_taken_over(&Handover::adopt(memory(LENGTH_NOW, &golden_now())).unwrap());
}

#[track_caller]
fn is_taken_over(handover: &Arc<Handover>) {
    assert_eq!(handover.begin_generation(), 4);
    let taken = handover.take_over_unfinished();
    let [request] = &taken[..] else {
        panic!("{taken:?}");
    };
    assert_eq!(
        (
            request.unique,
            request.opcode,
            request.size,
            request.node,
            request.handle
        ),
        (42, 15, 4096, 7, 8)
    );
    assert_eq!(
        (
            request.offset,
            request.tid,
            request.uid,
            request.gid,
            request.flags
        ),
        (9, 100, 1000, 2000, 0o100_000)
    );
    assert_eq!((request.view, &request.view_name[..]), (11, "stat"));
    assert_eq!(request.name.as_deref(), Some("no".as_ref()));
    // It is not served until the worker that has taken it over does so.
    assert_eq!((request.taken_over, request.started), (2, None));
    assert_eq!(handover.highest_unique(), 44);

    let shown = |handle| handover.adopt_handle(handle).and_then(|(_, shown)| shown);
    assert_eq!(shown(5), Some(Shown::Part(b"a text\n".to_vec())));
    let ended = true;
    assert_eq!(
        shown(6),
        Some(Shown::Whole {
            length: 1500,
            ended
        })
    );

    let mut record = Vec::new();
    assert!(handover.load(ContainerKey::new(b"golden"), "golden", &mut record));
    assert_eq!(record, b"a text\n");
}

/// What is written now is what is read above.
#[test]
fn words_are_where_they_were() {
    let empty = [(0, VISTAFSH), (8, 1 << 32), (24, RECORD as u64)];
    let of_1_0 = Handover::adopt(memory(LENGTH, &empty)).unwrap();
    are_where_they_were(&of_1_0, golden(), before(), RECORD);
    let of_2_0 = Handover::with_records(RECORD).unwrap();
    are_where_they_were(&of_2_0, golden_now(), now(), 24);
}

#[track_caller]
fn are_where_they_were(
    handover: &Arc<Handover>,
    golden: Vec<(usize, u64)>,
    (head, record): (usize, usize),
    room: usize,
) {
    for _ in 0..3 {
        handover.begin_generation();
    }
    let handle = handover.open_handle(5).unwrap();
    handle.show_part(b"a text\n", true);
    handover.open_handle(6).unwrap().show_whole(1500, true);
    for record in [&b"before"[..], b"a text\n"] {
        assert!(handover.save(ContainerKey::new(b"golden"), "golden", record));
    }
    std::mem::forget(handover.begin(&Request {
        unique: 42,
        ..Request::default()
    }));
    let at = |byte: usize| handover.region.words(byte / WORD, 1)[0].load(Ordering::Relaxed);
    let is_compared = |byte: &usize| match *byte {
        0..4096 | 266_240..1_348_616 => true,
        byte => {
            (head..head + 24).contains(&byte)
                || byte == head + 32
                || (record..record + 16).contains(&byte)
        }
    };
    let mut compared = golden;
    compared.retain(|(byte, _)| is_compared(byte));
    assert!(compared.len() >= 16, "{compared:?}");
    for (byte, word) in compared {
        assert_eq!(at(byte), word, "at byte {byte}");
    }
    assert_eq!(at(32), 0);
    assert!(handover.fall_asleep(4));
    assert_eq!(at(32), 1);
    let slots = (0..1024).map(|slot| 4096 + slot * 256);
    let of_42: Vec<_> = slots.filter(|slot| at(slot + 8) == 42).collect();
    assert_eq!(of_42.len(), 1);
    assert_eq!(at(of_42[0]), 3 << 32 | 2);
    // The second of two records is in the second place.
    let second = record + 48 + room;
    assert_eq!(
        [0, 8, 16].map(|byte| at(second + byte)),
        [2, 7, checksum(b"a text\n")]
    );
}

#[test]
fn what_is_not_handover_memory_is_refused() {
    let foreign = |memory: OwnedFd| match Handover::adopt(memory) {
        Err(HandoverError::Foreign(why)) => why,
        other => panic!("{other:?}"),
    };
    let null = std::fs::File::open("/dev/null").unwrap();
    assert_eq!(foreign(null.into()), "it has no seals");
    assert_eq!(foreign(memory(4095, &[])), "it is too short");
    assert_eq!(foreign(memory(8192, &[])), "it does not begin as such");
    let changed = |at: usize, word: u64| {
        let mut words = golden();
        words.retain(|(byte, _)| *byte != at);
        words.push((at, word));
        memory(LENGTH, &words)
    };
    assert_eq!(foreign(memory(LENGTH - 4096, &golden())), "it is too short");
    for bytes in [0, 1 << 40, u64::MAX, 1025] {
        assert_eq!(
            foreign(changed(24, bytes)),
            "its records have an impossible length"
        );
    }
    assert_eq!(foreign(changed(8, 1 << 32 | 1)), "it is too short");
    let versions = [
        (1 << 32 | 77, true),
        (2 << 32 | 77, true),
        (3 << 32, false),
        (0, false),
    ];
    for (version, is_known) in versions {
        let mut words = golden();
        words.retain(|(byte, _)| *byte != 8);
        words.push((8, version));
        let adopted = Handover::adopt(memory(LENGTH_NOW.max(LENGTH_1_1), &words));
        let is_refused = matches!(adopted, Err(HandoverError::Version { known: 2, .. }));
        assert_eq!((adopted.is_ok(), is_refused), (is_known, !is_known));
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let unsealed = rustix::fs::memfd_create("test", flags).unwrap();
    assert_eq!(foreign(unsealed), "its length is not sealed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What is in the memory is another process's, which may have been out of its mind.
    #[test]
    fn whatever_is_in_it_breaks_nothing(
        words in prop::collection::vec(prop_oneof![Just(0), 1..4_u64, (5..9_u64).prop_map(|n| n << 32 | 2), any::<u64>()], 1..300),
        key in 0..4_u64,
    ) {
        let handover = Handover::with_records(RECORD).unwrap();
        // All but the large texts and the records of most containers.
        for range in [
            requests::FIRST..texts::FIRST + 20_000,
            addresses::FIRST..slots::FIRST + 50_000,
        ] {
            let all = handover.region.words(range.start, range.len());
            for (word, value) in all.iter().zip(words.iter().cycle()) {
                word.store(*value, Ordering::Relaxed);
            }
        }
        let generation = handover.begin_generation();
        for request in handover.take_over_unfinished() {
            prop_assert_eq!(request.generation, generation);
            handover.settle(&request);
        }
        prop_assert!(handover.unfinished().is_empty());
        drop(handover.begin(&Request::default()));
        for handle in words.iter().copied().chain([key]) {
            if let Some((handle, _)) = handover.adopt_handle(handle) {
                handle.show_part(b"text", true);
                handle.show_whole(4, true);
                handle.close();
            }
            handover.close_handle(handle);
            handover.address(handle, &mut Vec::new());
            handover.keep_address(handle, b"address", 1);
            handover.drop_address(handle);
        }
        let container = ContainerKey::new(&key.to_le_bytes());
        for handle in &words {
            let _ = handover.written(*handle, container);
            handover.forget_written(*handle);
            handover.keep_written(*handle, container, b"written");
        }
        let mut record = Vec::new();
        handover.load(container, "r", &mut record);
        if handover.save(container, "r", b"record") {
            record.clear();
            prop_assert!(handover.load(container, "r", &mut record));
            prop_assert_eq!(record, b"record");
        }
        handover.give_up(container);
    }
}
