use proptest::prelude::*;

use super::*;

/// The averages as they are shown, in hundredths.
fn shown(averages: &Averages) -> [u64; 3] {
    let mut out = Vec::new();
    push(&mut out, averages, 0, 0, 0);
    let text = String::from_utf8(out).unwrap();
    let mut words = text.split(' ');
    std::array::from_fn(|_| words.next().unwrap().replace('.', "").parse().unwrap())
}

/// Computed with another program's integers: at first that many threads, then (samples, threads)
/// and the hundredths that are shown.
#[test]
fn the_same_digits_as_the_kernel_s() {
    type Step = ((u64, u64), [u64; 3]);
    let rows: [(u64, &[Step]); 3] = [
        (
            0,
            &[
                ((1, 2), [16, 3, 1]),
                ((11, 2), [127, 37, 13]),
                ((12, 2), [173, 67, 25]),
                ((36, 2), [199, 128, 56]),
                ((720, 2), [200, 200, 200]),
            ],
        ),
        (
            3,
            &[
                ((1, 0), [276, 295, 298]),
                ((11, 0), [110, 245, 281]),
                ((48, 0), [2, 109, 216]),
                ((120, 0), [0, 13, 111]),
                ((10_000, 0), [0, 0, 0]),
            ],
        ),
        (
            1,
            &[
                ((12, 8), [543, 228, 144]),
                ((12, 0), [199, 186, 135]),
                ((3, 1), [177, 182, 134]),
            ],
        ),
    ];
    for (first, steps) in rows {
        let mut averages = Averages::steady(first);
        for ((samples, threads), expected) in steps {
            averages.add(*samples, *threads);
            assert_eq!(
                shown(&averages),
                *expected,
                "{first}, then {samples} x {threads}"
            );
        }
    }
}

#[test]
fn the_form_of_the_file() {
    let mut out = Vec::new();
    push(&mut out, &Averages::steady(0), 1, 340, 32_768);
    push(&mut out, &Averages([2048 + 2037, 2038, 11]), 0, 0, 0);
    push(
        &mut out,
        &Averages::steady(u64::MAX),
        u64::MAX,
        u64::MAX,
        u32::MAX,
    );
    let expected = "0.00 0.00 0.00 1/340 32768\n\
                    1.99 1.00 0.01 0/0 0\n\
                    4294967295.00 4294967295.00 4294967295.00 \
                    18446744073709551615/18446744073709551615 4294967295\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn the_last_pid() {
    for (text, expected) in [
        (&b"0.16 0.03 0.01 2/340 1234\n"[..], Some(1234)),
        (b"0.16 0.03 0.01 2/340 1234", Some(1234)),
        (b"0.16 0.03 0.01 2/340 0\n", Some(0)),
        (b"", None),
        (b"0.16 0.03 0.01 2/340\n", None),
        (b"0.16 0.03 0.01 2/340 1234 5\n", None),
        (b"0.16 0.03 0.01 2/340 -1\n", None),
        (b"0.16 0.03 0.01 2/340 4294967296\n", None),
        (b"\xff \0 \xff \0 1\n", Some(1)),
    ] {
        assert_eq!(last_pid(text).ok(), expected, "{}", text.escape_ascii());
    }
}

proptest! {
    /// The fixed point stays near the exact curve.
    #[test]
    fn near_the_exponential(
        first in 0_u32..64,
        steps in proptest::collection::vec((0_u32..40, 0_u32..64), 1..8),
    ) {
        let mut averages = Averages::steady(first.into());
        let mut ideal = [f64::from(first); 3];
        let most = steps.iter().map(|(_, threads)| *threads).chain([first]).max();
        let most = most.map_or(0.0, f64::from);
        for (samples, threads) in steps {
            averages.add(samples.into(), threads.into());
            for (ideal, seconds) in ideal.iter_mut().zip([60.0, 300.0, 900.0]) {
                let kept = (-5.0 * f64::from(samples) / seconds).exp();
                *ideal = f64::from(threads) + (*ideal - f64::from(threads)) * kept;
            }
        }
        for (shown, ideal) in shown(&averages).into_iter().zip(ideal) {
            let shown = f64::from(u32::try_from(shown).unwrap()) / 100.0;
            // 11/2048 approximates 1 - e^(-1/180), which is 11.35/2048; and each sample is rounded.
            prop_assert!((shown - ideal).abs() < 0.1 + 0.02 * most, "{shown}, not {ideal}");
        }
    }

    /// Many samples at once are what they are one by one.
    #[test]
    fn late_samples_are_made_up_for(first: u16, threads: u16, samples in 0_u64..2000) {
        let mut at_once = Averages::steady(first.into());
        at_once.add(samples, threads.into());
        let mut one_by_one = Averages::steady(first.into());
        for _ in 0..samples {
            one_by_one.add(1, threads.into());
        }
        prop_assert_eq!(at_once, one_by_one);
    }

    /// Between the old average and the new number, and there in the end.
    #[test]
    fn never_beyond_and_at_last_there(first: u64, threads: u64) {
        let mut averages = Averages::steady(first);
        averages.add(1, threads);
        let (from, to) = (first.min(MOST) * ONE, threads.min(MOST) * ONE);
        for average in averages.0 {
            prop_assert!((from.min(to)..=from.max(to)).contains(&average));
        }
        averages.add(u64::MAX, threads);
        prop_assert_eq!(averages, Averages::steady(threads));
    }
}

/// The mean times (1 - e^(-age / 1, 5 and 15 minutes)), with the kernel's rounding: the exact averages of
/// 2 threads after 5 minutes are 1.99, 1.26 and 0.57.
#[test]
fn averages_of_the_past() {
    let seconds = Duration::from_secs;
    let shown = |age, busy| {
        let mut out = Vec::new();
        push(&mut out, &Averages::of_past(age, busy), 1, 1, 1);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(shown(seconds(0), seconds(0)), "0.00 0.00 0.00 1/1 1\n");
    assert_eq!(shown(seconds(0), seconds(9)), "0.00 0.00 0.00 1/1 1\n");
    assert_eq!(shown(seconds(3), seconds(9)), "0.00 0.00 0.00 1/1 1\n");
    assert_eq!(shown(seconds(60), seconds(60)), "0.63 0.18 0.06 1/1 1\n");
    assert_eq!(shown(seconds(300), seconds(600)), "1.99 1.28 0.56 1/1 1\n");
    assert_eq!(
        shown(seconds(86_400), seconds(43_200)),
        "0.50 0.50 0.50 1/1 1\n"
    );
    let most = Averages::steady(u64::MAX);
    assert_eq!(
        Averages::of_past(Duration::MAX, Duration::MAX),
        Averages::steady(1)
    );
    assert!(Averages::of_past(seconds(5), Duration::MAX).to_bits() < most.to_bits());
}
