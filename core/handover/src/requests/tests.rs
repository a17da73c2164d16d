use std::os::fd::AsFd;

use super::*;

fn request(unique: u64) -> Request<'static> {
    Request {
        unique,
        opcode: 15,
        node: u64::MAX,
        handle: 7,
        offset: 1 << 40,
        size: 131_072,
        flags: 0o100_000,
        tid: u32::MAX,
        uid: 1000,
        gid: 100,
        view: 2_509_726_886_885_025_025,
        view_name: "meminfo",
        name: b"docker-\xff.scope",
    }
}

fn adopted(handover: &Handover) -> Arc<Handover> {
    Handover::adopt(handover.as_fd().try_clone_to_owned().unwrap()).unwrap()
}

fn uniques(handover: &Handover) -> Vec<u64> {
    let mut uniques: Vec<u64> = handover.unfinished().iter().map(|r| r.unique).collect();
    uniques.sort_unstable();
    uniques
}

#[test]
fn a_request_is_seen_by_others_until_it_is_done() {
    let handover = Handover::create().unwrap();
    assert_eq!(handover.begin_generation(), 1);
    let other = adopted(&handover);
    let in_flight = handover.begin(&request(6)).unwrap();
    let seen = other.unfinished();
    let [seen] = &seen[..] else {
        panic!("{seen:?}");
    };
    let back = Request {
        unique: seen.unique,
        opcode: seen.opcode,
        node: seen.node,
        handle: seen.handle,
        offset: seen.offset,
        size: seen.size,
        flags: seen.flags,
        tid: seen.tid,
        uid: seen.uid,
        gid: seen.gid,
        view: seen.view,
        view_name: &seen.view_name,
        name: seen.name.as_ref().unwrap().as_encoded_bytes(),
    };
    assert_eq!(back, request(6));
    assert_eq!((seen.generation, seen.taken_over), (1, 0));
    assert_eq!(seen.started, None);
    drop(in_flight);
    assert_eq!(uniques(&other), []);
    assert_eq!(other.highest_unique(), 6);
}

#[test]
fn a_full_table_delays_nobody() {
    let handover = Handover::create().unwrap();
    let all: Vec<_> = (0..COUNT as u64)
        .map(|unique| handover.begin(&request(unique)).unwrap())
        .collect();
    assert!(handover.begin(&request(5000)).is_none());
    assert_eq!(uniques(&handover), (0..COUNT as u64).collect::<Vec<_>>());
    drop(all);
    assert!(handover.begin(&request(5000)).is_some());
}

#[test]
fn names_that_are_too_long() {
    let handover = Handover::create().unwrap();
    let name_of = |length: usize| {
        let name = vec![b'n'; length];
        let _in_flight = handover.begin(&Request {
            name: &name,
            view_name: "a name with an é in the middle",
            ..request(1)
        });
        let seen = handover.unfinished().remove(0);
        assert_eq!(seen.view_name, "a name with an é in the");
        assert!(
            seen.name
                .as_ref()
                .is_none_or(|n| n.as_encoded_bytes() == name)
        );
        seen.name
    };
    assert!(name_of(0).is_some());
    assert!(name_of(NAME_BYTES).is_some());
    assert!(name_of(NAME_BYTES + 1).is_none());
    assert!(name_of(255).is_none());
}

#[test]
fn the_next_worker_takes_over_and_settles() {
    let handover = Handover::create().unwrap();
    handover.begin_generation();
    std::mem::forget(handover.begin(&request(2)));
    std::mem::forget(handover.begin(&request(4)));
    // Killed while it was filling a slot.
    let half = handover.take_slot().unwrap();
    handover.slot(half)[UNIQUE].store(8, Ordering::Relaxed);

    let second = adopted(&handover);
    second.begin_generation();
    let own = second.begin(&request(10)).unwrap();
    let taken = second.take_over_unfinished();
    assert_eq!(taken.len(), 2);
    assert!(taken.iter().all(|r| (r.taken_over, r.generation) == (1, 2)));
    second.settle(&taken[0]);
    assert_eq!(uniques(&handover), [4, 10]);

    // It is killed too, with a request that it had taken over.
    std::mem::forget(own);
    let third = adopted(&handover);
    third.begin_generation();
    let mut taken = third.take_over_unfinished();
    taken.sort_by_key(|request| request.unique);
    let told: Vec<_> = taken.iter().map(|r| (r.unique, r.taken_over)).collect();
    assert_eq!(told, [(4, 2), (10, 1)]);
    taken.iter().for_each(|request| third.settle(request));
    std::mem::forget(third.begin(&request(12)));
    let fourth = adopted(&handover);
    fourth.begin_generation();
    assert_eq!(fourth.leave_unfinished()[0].unique, 12);
    assert_eq!(uniques(&handover), []);
    third.begin_generation();
    // The slot that the first worker half filled is free again.
    let all: Vec<_> = (0..).map_while(|n| third.begin(&request(n))).collect();
    assert_eq!(all.len(), COUNT);
    // Settling late is harmless.
    taken.iter().for_each(|request| {
        third.settle(&Unfinished {
            generation: 2,
            ..request.clone()
        })
    });
    assert_eq!(uniques(&third).len(), COUNT);
}

#[test]
fn a_request_that_waits_has_no_age() {
    let handover = Handover::create().unwrap();
    handover.begin_generation();
    let in_flight = handover.begin(&request(6)).unwrap();
    let seen = || handover.unfinished().pop().unwrap();
    assert_eq!((seen().container, seen().started), (0, None));
    in_flight.begin_service(1);
    assert!(seen().started.is_some());
    in_flight.wait();
    assert_eq!(seen().started, None);
    in_flight.begin_service(u32::MAX);
    assert!(seen().started.unwrap().as_nanos() <= u128::from(now()));
    // The next worker also knows the container.
    let next = adopted(&handover);
    next.begin_generation();
    let taken = next.take_over_unfinished().pop().unwrap();
    assert_eq!((taken.container, taken.taken_over), (u32::MAX, 1));
    assert_eq!((taken.started, seen().started), (None, None));
    next.begin_again(&taken, 7);
    let thread = rustix::thread::gettid().as_raw_nonzero().get();
    assert_eq!(i64::from(seen().server), i64::from(thread));
    assert!(seen().started.is_some());
    assert_eq!((seen().container, seen().taken_over), (7, 1));
}
