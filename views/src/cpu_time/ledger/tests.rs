use proptest::prelude::*;

use vistafs_view::Lasting;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn cpus(list: &str) -> CpuSet {
    CpuSet::parse(list.as_bytes()).unwrap()
}

fn used_on(cpu: u32, user: u64, system: u64) -> PerCpu {
    PerCpu {
        cpu,
        total: user + system,
        user,
        system,
    }
}

fn enter(ledger: &mut Ledger, seconds: u64, user: u64, throttled: u64, visible: &str) {
    ledger.enter(&Reading {
        age: Duration::from_secs(seconds),
        usage: CpuUsage {
            user,
            throttled,
            ..CpuUsage::default()
        },
        per_cpu: &[],
        visible: &cpus(visible),
        moves: 0,
        ticks_per_second: 100,
    });
}

#[test]
fn a_busy_half_is_half_busy() {
    let mut ledger = Ledger::default();
    enter(&mut ledger, 10, 5 * SECOND, 0, "0-1");
    let sum = ledger.sum();
    assert_eq!((sum.user, sum.idle, sum.steal), (500, 1500, 0));
    assert_eq!(ledger.of(0).user, 250);
}

#[test]
fn a_quota_that_holds_back_is_steal() {
    let mut ledger = Ledger::default();
    enter(&mut ledger, 10, 5 * SECOND, 5 * SECOND, "0");
    let sum = ledger.sum();
    assert_eq!((sum.user, sum.idle, sum.steal), (500, 0, 500));
    enter(&mut ledger, 11, 5 * SECOND, 50 * SECOND, "0");
    assert_eq!(
        ledger.sum().steal,
        600,
        "no more than the time that was left"
    );
}

#[test]
fn ticks_of_the_sum_are_not_lost_on_many_cpus() {
    let mut ledger = Ledger::default();
    // 1.005 s over 8 CPUs: 12.56 ticks each, 100 in all.
    enter(&mut ledger, 1, SECOND + 5_000_000, 0, "0-7");
    assert_eq!(ledger.sum().user, 100);
}

#[test]
fn v1_shows_each_cpu_s_own_time_and_spreads_the_hidden() {
    let mut ledger = Ledger::default();
    let per_cpu = [
        used_on(0, SECOND, 0),
        used_on(1, 0, SECOND),
        used_on(3, 2 * SECOND, 0),
    ];
    ledger.enter(&Reading {
        age: Duration::from_secs(10),
        usage: CpuUsage {
            user: 3 * SECOND,
            system: SECOND,
            ..CpuUsage::default()
        },
        per_cpu: &per_cpu,
        visible: &cpus("0-1"),
        moves: 0,
        ticks_per_second: 100,
    });
    assert_eq!((ledger.of(0).user, ledger.of(0).system), (200, 0));
    assert_eq!((ledger.of(1).user, ledger.of(1).system), (100, 100));
}

#[test]
fn a_cpu_that_is_hidden_leaves_its_counters_behind() {
    let mut ledger = Ledger::default();
    enter(&mut ledger, 10, 8 * SECOND, 0, "0-3");
    let before = ledger.sum();
    enter(&mut ledger, 10, 8 * SECOND, 0, "2");
    assert_eq!(ledger.sum(), before);
    assert_eq!(ledger.of(2), before);
    enter(&mut ledger, 20, 8 * SECOND, 0, "0-3");
    assert_eq!(ledger.sum().idle, before.idle + 4000);
}

#[test]
fn hidden_time_goes_where_there_is_room() {
    let mut ledger = Ledger::default();
    for second in 1..=10 {
        // One thread on visible CPU 0, one on hidden CPU 3.
        let per_cpu = [
            used_on(0, second * SECOND, 0),
            used_on(1, 0, 0),
            used_on(2, 0, 0),
            used_on(3, second * SECOND, 0),
        ];
        ledger.enter(&Reading {
            age: Duration::from_secs(second),
            usage: CpuUsage {
                user: 2 * second * SECOND,
                ..CpuUsage::default()
            },
            per_cpu: &per_cpu,
            visible: &cpus("0-1"),
            moves: 0,
            ticks_per_second: 100,
        });
        assert_eq!(
            (ledger.of(0).user, ledger.of(1).user),
            (second * 100, second * 100)
        );
        assert_eq!(ledger.sum().idle, 0);
    }
}

#[test]
fn time_at_low_priority_is_not_counted_twice() {
    let mut ledger = Ledger::default();
    // The nice part grows in steps of 4 ms, the user time exactly.
    for ms in 0..4000u64 {
        ledger.enter(&Reading {
            age: Duration::from_millis(ms),
            usage: CpuUsage {
                user: ms * 1_000_000,
                nice: ms.div_ceil(4) * 4_000_000,
                ..CpuUsage::default()
            },
            per_cpu: &[],
            visible: &cpus("0"),
            moves: 0,
            ticks_per_second: 100,
        });
    }
    let sum = ledger.sum();
    assert_eq!(sum.user + sum.nice, 399);
    assert_eq!(sum.idle, 0);
}

#[test]
fn other_cgroups_begin_anew() {
    let mut ledger = Ledger::default();
    enter(&mut ledger, 10, SECOND, 0, "0");
    let mut reading = |seconds: u64, user: u64| {
        ledger.enter(&Reading {
            age: Duration::from_secs(seconds),
            usage: CpuUsage {
                user,
                ..CpuUsage::default()
            },
            per_cpu: &[],
            visible: &cpus("0"),
            moves: 1,
            ticks_per_second: 100,
        });
        (ledger.sum().user, ledger.sum().idle)
    };
    assert_eq!(reading(11, 3600 * SECOND), (100, 1000));
    assert_eq!(reading(12, 3601 * SECOND), (200, 1000));
}

#[test]
fn what_an_ancestor_held_back_is_the_container_s_while_it_works() {
    let mut ledger = Ledger::default();
    let mut reading = |seconds: u64, user: u64, throttled: u64| {
        ledger.enter(&Reading {
            age: Duration::from_secs(seconds),
            usage: CpuUsage {
                user,
                throttled,
                throttled_by: 1,
                ..CpuUsage::default()
            },
            per_cpu: &[],
            visible: &cpus("0"),
            moves: 0,
            ticks_per_second: 100,
        });
        ledger.sum().steal
    };
    assert_eq!(reading(1, SECOND / 2, 1000 * SECOND), 0, "before");
    assert_eq!(
        reading(2, SECOND, 1001 * SECOND),
        50,
        "as much as there was room for"
    );
    assert_eq!(reading(3, SECOND, 1002 * SECOND), 50, "it did nothing");
}

fn columns(times: &CpuTimes) -> [u64; 5] {
    [
        times.user,
        times.nice,
        times.system,
        times.steal,
        times.idle,
    ]
}

proptest! {
    /// No counter of any CPU that stays visible, nor of the sum, ever goes down; the sum is exact;
    /// what was used is shown to the tick. Also where the process dies between two readings, and
    /// the next one goes on from what was kept.
    #[test]
    fn never_backwards(steps in prop::collection::vec(
        (0u64..3_000_000_000, 0u64..3_000_000_000, 0u64..2_000_000_000, 0u64..5_000_000_000, 1u8..=15, any::<bool>(), any::<bool>()), 1..40,
    )) {
        let mut ledger = Ledger::default();
        let (mut age, mut usage) = (0, CpuUsage::default());
        let mut per_cpu: Vec<PerCpu> = (0..4).map(|cpu| used_on(cpu, 0, 0)).collect();
        let mut last: Option<(CpuSet, Vec<[u64; 5]>, [u64; 5])> = None;
        let v1 = steps[0].5;
        let mut shown_before = 0;
        for (passed, user, system, throttled, mask, odd, dies) in steps {
            if dies {
                let mut record = Vec::new();
                ledger.record(&mut record);
                ledger = Ledger::restore(&record, 0).unwrap();
            }
            age += passed;
            usage.user += user;
            usage.system += system;
            usage.throttled += throttled;
            let at = &mut per_cpu[if odd { 3 } else { 0 }];
            at.total += user + system;
            at.user += user;
            at.system += system;
            let visible: CpuSet = (0..4).filter(|cpu| mask >> cpu & 1 == 1).collect();
            ledger.enter(&Reading {
                age: Duration::from_nanos(age),
                usage,
                per_cpu: if v1 { &per_cpu } else { &[] },
                visible: &visible,
                moves: 0,
        ticks_per_second: 100,
            });
            let lines: Vec<_> = (0..4).map(|cpu| columns(&ledger.of(cpu))).collect();
            let sum = columns(&ledger.sum());
            for column in 0..5 {
                let exact: u64 = visible.iter().map(|cpu| lines[index(cpu)][column]).sum();
                prop_assert_eq!(exact, sum[column]);
            }
            prop_assert_eq!(sum[USER], usage.user / 10_000_000);
            prop_assert_eq!(sum[SYSTEM], usage.system / 10_000_000);
            // Nothing is lost: all columns together are at least the time that has passed.
            prop_assert!(sum.iter().sum::<u64>() + 5 >= shown_before);
            shown_before = sum.iter().sum();
            if let Some((was_visible, was, was_sum)) = &last {
                for column in 0..5 {
                    prop_assert!(sum[column] >= was_sum[column]);
                    for cpu in visible.intersection(was_visible).iter() {
                        prop_assert!(lines[index(cpu)][column] >= was[index(cpu)][column]);
                    }
                }
            }
            last = Some((visible, lines, sum));
        }
    }
}
