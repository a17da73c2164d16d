use std::os::fd::AsFd;

use super::*;

fn next_worker(handover: &Handover) -> Arc<Handover> {
    let next = Handover::adopt(handover.as_fd().try_clone_to_owned().unwrap()).unwrap();
    next.begin_generation();
    next
}

fn shown(handover: &Arc<Handover>, handle: u64) -> Option<Shown> {
    handover.adopt_handle(handle).and_then(|(_, shown)| shown)
}

fn owners(handover: &Handover) -> usize {
    let is_free = |text: &usize| handover.text_head(*text)[HANDLE].load(Ordering::Relaxed) == 0;
    COUNT - (0..COUNT).filter(is_free).count()
}

#[test]
fn what_was_shown_is_known_to_the_next_worker() {
    let handover = Handover::create().unwrap();
    handover.begin_generation();
    let number = handover.handle_mark() | 5;
    let handle = handover.open_handle(number).unwrap();
    assert_eq!(shown(&handover, number), None, "nothing was read");
    handle.show_whole(1500, false);
    let next = next_worker(&handover);
    let whole = |length, ended| Some(Shown::Whole { length, ended });
    assert_eq!(shown(&next, number), whole(1500, false));
    handle.show_whole(1500, true);
    assert_eq!(shown(&next, number), whole(1500, true));
    assert_eq!(owners(&next), 0);

    let (small, large) = (vec![1; 5000], vec![2; 100_000]);
    for text in [&small, &large, &small] {
        assert!(handle.show_part(text, true));
        assert_eq!(shown(&next, number), Some(Shown::Part(text.clone())));
        assert_eq!(owners(&next), 1);
    }
    // Too long, or not allowed.
    assert!(!handle.show_part(&vec![3; LARGE_BYTES + 1], true));
    assert_eq!(shown(&next, number), Some(Shown::Lost));
    assert_eq!(owners(&next), 0);
    assert!(!handle.show_part(&small, false));
    assert_eq!(shown(&next, number), Some(Shown::Lost));

    assert!(handle.show_part(&small, true));
    next.close_handle(number);
    assert_eq!((shown(&next, number), owners(&next)), (None, 0));
    assert_eq!(shown(&next, 0), None);
}

#[test]
fn a_text_that_was_half_written_is_lost() {
    let handover = Handover::create().unwrap();
    let handle = handover.open_handle(9).unwrap();
    assert!(handle.show_part(&[1; 100], true));
    let (first, _) = bytes_of(handle.text().unwrap());
    handover.region.words(first, 1)[0].store(0, Ordering::Relaxed);
    assert_eq!(shown(&handover, 9), Some(Shown::Lost));
    assert!(handle.show_part(&[1; 100], true));
    handover.text_head(handle.text().unwrap())[LENGTH].store(0, Ordering::Relaxed);
    assert_eq!(shown(&handover, 9), Some(Shown::Lost));
}

#[test]
fn room_is_bounded_and_found_again() {
    let handover = Handover::create().unwrap();
    handover.begin_generation();
    let number = |n: u64| handover.handle_mark() | n;
    let all: Vec<_> = (0..2000)
        .map(|n| handover.open_handle(number(n)).unwrap())
        .collect();
    let kept = all
        .iter()
        .filter(|handle| handle.show_part(&[7; 300], true))
        .count();
    assert_eq!(kept, SMALL);
    assert!(
        all[1999].show_part(&[7; SMALL_TEXT + 1], true),
        "of these there is room"
    );
    // A worker was killed between claiming a place and storing it in its entry.
    let orphan = SMALL + 5;
    handover.text_head(orphan)[HANDLE].store(number(77_777), Ordering::Relaxed);
    all.into_iter().for_each(OpenHandle::close);
    assert_eq!(owners(&handover), 1);

    let next = next_worker(&handover);
    let number = |n: u64| next.handle_mark() | n;
    let all: Vec<_> = (0..40)
        .map(|n| next.open_handle(number(n)).unwrap())
        .collect();
    let kept = all
        .iter()
        .filter(|handle| handle.show_part(&[7; SMALL_TEXT + 1], true))
        .count();
    assert_eq!(kept, COUNT - SMALL);
}

#[test]
fn handles_beyond_all_room_are_not_kept() {
    let handover = Handover::create().unwrap();
    let numbers = (1..).take(handles::COUNT + 100);
    let opened: Vec<_> = numbers.filter_map(|n| handover.open_handle(n)).collect();
    assert_eq!(opened.len(), handles::COUNT);
    opened.into_iter().for_each(OpenHandle::close);
    assert!(handover.open_handle(1).is_some());
}
