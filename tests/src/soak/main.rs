//! The soak: attacks in turns, and beside them three containers that make random system calls.
//!
//! A model knows what each container may be shown: each has a memory limit that no other one has, so every byte of
//! another one's is recognised. Between the turns a victim reads, whose slowest read is measured; what the rule
//! "what one container does, no other container may feel" forbids ends the run, with the command that repeats
//! it. The seed decides which attacks and which calls are made, not how the kernel interleaves them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "as in tests, a panic is the report"
)]

/// The containers that make random system calls.
mod fuzzer;
/// The attacks, with sizes that the seed decides.
mod turns;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use fastrand::Rng;
use vistafs_tests::arena::{Arena, Outcome};
use vistafs_tests::attackers;
use vistafs_tests::require::privileged;
use vistafs_tests::role::{self, Role};
use vistafs_tests::vistafs::page_cache;

use fuzzer::Fuzzers;

/// With what the turns need: a slow file, page-cached files, and little patience with a worker.
const CONFIG: &str = "\
[worker]
stuck_seconds = 4
[[file]]
path = \"proc/site/slow\"
command = [\"/bin/sleep\", \"0.5\"]
user = \"nobody\"
timeout_ms = 1500
";

fn main() -> ExitCode {
    let roles: Vec<Role> = [attackers::ROLES, &[("fuzzer", fuzzer::role)]].concat();
    role::play(&roles);
    let mut words = std::env::args().skip(1);
    let (mut seconds, mut seed) = (60, fastrand::u64(..1 << 32));
    while let Some(word) = words.next() {
        let number = words.next().and_then(|number| number.parse().ok());
        match (word.as_str(), number) {
            ("--seconds", Some(number)) => seconds = number,
            ("--seed", Some(number)) => seed = number,
            _ => {
                eprintln!("usage: vistafs-soak [--seconds N] [--seed N]");
                return ExitCode::FAILURE;
            }
        }
    }
    if !privileged() {
        eprintln!("vistafs-soak: cannot mount (run as root, load the fuse module)");
        return ExitCode::FAILURE;
    }
    soak(Duration::from_secs(seconds), seconds, seed)
}

fn soak(length: Duration, seconds: u64, seed: u64) -> ExitCode {
    println!("soak: seed {seed}, {seconds} s");
    let begun = Instant::now();
    let mut rng = Rng::with_seed(seed);
    let mut arena = Arena::new(&format!("{CONFIG}{}", page_cache(50)));
    let mut fuzzers = Fuzzers::start(&arena, &mut rng);
    arena.expect_attackers(1 + fuzzers.count());
    let mut faults = Vec::new();
    let (mut worst, mut turns) = (Duration::ZERO, 0);
    let mut note = |what: &str, outcome: Outcome, faults: &mut Vec<String>| {
        let slowest = outcome.rounds.iter().map(|felt| felt.attacked.worst).max();
        worst = worst.max(slowest.unwrap_or_default());
        faults.extend(
            outcome
                .faults
                .iter()
                .map(|fault| format!("{what}: {fault}")),
        );
    };
    // The end takes as long as a turn.
    while faults.is_empty() && begun.elapsed() + Duration::from_secs(5) < length {
        let turn = turns::begin(&arena, &mut rng, turns);
        println!("turn {turns}: {}", turn.what);
        let outcome = arena.beside(turn.attack, 1);
        note(&turn.what, outcome, &mut faults);
        drop(turn.cgroup);
        faults.extend(fuzzers.check());
        fuzzers.replace_one(&arena, &mut rng);
        turns += 1;
    }
    let (operations, found) = fuzzers.end();
    faults.extend(found);
    arena.expect_attackers(1);
    note("at the end", arena.beside(Vec::new(), 1), &mut faults);
    // A panic in the log of vistafs ends this program here.
    drop(arena);
    println!(
        "soak: seed {seed}: {turns} attacks, {operations} system calls, slowest read of the victim {:.1} ms",
        worst.as_secs_f64() * 1e3
    );
    if faults.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "soak: {}\nsoak: repeat it with: cargo xtask soak --seconds {seconds} --seed {seed}",
        faults.join("\nsoak: ")
    );
    ExitCode::FAILURE
}
