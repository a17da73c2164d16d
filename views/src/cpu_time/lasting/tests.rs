use std::time::Duration;

use proptest::prelude::*;
use vistafs_text::CpuSet;

use super::*;
use crate::cpu_time::ledger::Reading;

/// As if a process had read the file at that age, with that CPU time used.
fn read(ledger: &mut Ledger, seconds: u64, user: u64, moves: u64) -> u64 {
    let visible: CpuSet = [0, 3].into_iter().collect();
    ledger.enter(&Reading {
        age: Duration::from_secs(seconds),
        usage: CpuUsage {
            user: user * 1_000_000_000,
            ..CpuUsage::default()
        },
        per_cpu: &[],
        visible: &visible,
        moves,
        ticks_per_second: 100,
    });
    ledger.sum().user
}

fn record(ledger: &Ledger) -> Vec<u8> {
    let mut record = Vec::new();
    ledger.record(&mut record);
    record
}

#[test]
fn the_next_process_goes_on_from_the_record() {
    let mut ledger = Ledger::default();
    assert_eq!(read(&mut ledger, 10, 5, 0), 500);
    let record = record(&ledger);
    let next = |moves| Ledger::restore(&record, moves).unwrap();
    assert_eq!(next(0).sum(), ledger.sum());
    assert_eq!(read(&mut next(0), 11, 6, 0), 600);
    // The kernel's counter decreased: it now counts another cgroup.
    assert_eq!(read(&mut next(0), 11, 1, 0), 500);
    // It was moved between two readings: the usage of the other cgroup is not the container's.
    assert_eq!(read(&mut next(!0), 11, 3600, 0), 500);
}

proptest! {
    #[test]
    fn a_record_that_makes_no_sense_is_none_or_harmless(
        words in prop::collection::vec(prop_oneof![0..5_u64, any::<u64>()], 0..60), cut in 0..8_usize
    ) {
        let mut record = Vec::new();
        words::push(&mut record, &words);
        record.truncate(record.len().saturating_sub(cut));
        if let Some(mut ledger) = Ledger::restore(&record, 0) {
            let before = ledger.sum().user;
            prop_assert!(read(&mut ledger, 1 << 30, 7, 0) >= before);
        }
    }

    #[test]
    fn a_record_with_a_changed_byte_is_none_or_harmless(at in 0..500_usize, to in any::<u8>()) {
        let mut ledger = Ledger::default();
        read(&mut ledger, 10, 5, 0);
        let mut record = record(&ledger);
        let at = at % record.len();
        record[at] = to;
        if let Some(mut ledger) = Ledger::restore(&record, 0) {
            let before = ledger.sum().user;
            prop_assert!(read(&mut ledger, 1 << 30, 7, 0) >= before);
        }
    }
}
