//! Where attacks on the isolation of containers are measured: two mounts, a victim, and what vistafs may use.
//!
//! The rule under test: what one container does, no other container may feel. A test starts an attack beside
//! the victim and calls [`Arena::withstand`], which asserts what the rule promises to every other container.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::cgroup::TestCgroup;
use crate::container::{Namespaces, TestContainer, field};
use crate::require::guest;
use crate::role::{Running, Start};
use crate::victim::{Felt, Victim};
use crate::vistafs::{MountOptions, Mounted, descriptors};

/// Locked while a test attacks: two attacks at a time would blame each other. Each test may be a process of its
/// own.
const TURN: &str = "vistafs-isolation.lock";

/// How much longer than without the attack the slowest read may take.
const TIMES: u32 = 20;
/// What the attacked mount may add to a read, on a machine that is not emulated.
const LONGEST: Duration = Duration::from_millis(250);
/// Rounds before and during the attack. In one of them the machine itself may have disturbed the victim.
const ROUNDS: usize = 3;
/// How long the attacker's memory, descriptors and threads in the worker may stay after its end.
const GIVEN_BACK: Duration = Duration::from_secs(60);
/// What the worker's memory may grow by for one attacker, KiB.
const MEMORY_KIB: u64 = 48 << 10;
/// How many descriptors and threads the worker may hold for one attacker: three for each of 256 pairs of
/// namespaces, and the kernel's files of its cgroups.
const DESCRIPTORS: u64 = 1024;
const THREADS: u64 = 16;
/// What may be left of it: buffers of threads, kernel files of the victim, a host file that is kept.
const LEFT_KIB: u64 = 8 << 10;
const LEFT_DESCRIPTORS: u64 = 48;
/// CPU weight of an attacker: a tenth of what its victim has. So the scheduler of the kernel is not what the
/// victim feels.
const WEIGHT_PERCENT: u64 = 10;

/// How long one round takes.
#[must_use]
pub fn round() -> Duration {
    Duration::from_millis(if guest() { 3000 } else { 1000 })
}

/// As many as that on a real machine, a tenth in an emulated one.
#[must_use]
pub fn scaled(native: usize) -> usize {
    if guest() { native / 10 } else { native }
}

/// What the worker uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    memory_kib: u64,
    descriptors: u64,
    threads: u64,
}

impl Used {
    fn by(pid: u32) -> Self {
        // One that is being replaced has nothing.
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let of = |key| {
            let is_there = status.contains(key);
            if is_there { field(&status, key) } else { 0 }
        };
        let is_there = std::path::Path::new(&format!("/proc/{pid}/fd")).exists();
        Self {
            memory_kib: of("RssAnon:"),
            descriptors: if is_there { descriptors(pid) as u64 } else { 0 },
            threads: of("Threads:"),
        }
    }

    fn max(self, other: Self) -> Self {
        Self {
            memory_kib: self.memory_kib.max(other.memory_kib),
            descriptors: self.descriptors.max(other.descriptors),
            threads: self.threads.max(other.threads),
        }
    }
}

/// What came of one attack.
#[derive(Debug)]
pub struct Outcome {
    /// What the victim felt, round by round.
    pub rounds: Vec<Felt>,
    /// What is against the rule.
    pub faults: Vec<String>,
}

/// Two mounts, of which one is attacked, and the victim.
#[derive(Debug)]
pub struct Arena {
    // Dropped in this order: the victim reads on both mounts.
    victim: Victim,
    mounted: Mounted,
    control: Mounted,
    started: (Duration, Duration),
    quiet: Felt,
    before: Used,
    // A host without a controller has files that no container can read.
    unreadable: String,
    worker: u32,
    attackers: usize,
    // Of the victim.
    _own: TestCgroup,
    // Above it, and above the cgroups of all other containers.
    slice: TestCgroup,
    _turn: File,
}

impl Default for Arena {
    fn default() -> Self {
        Self::new("")
    }
}

impl Arena {
    /// Mounts twice with a configuration, and finds what the victim feels without an attack.
    #[must_use]
    #[track_caller]
    pub fn new(config: &str) -> Self {
        Self::with(config, Namespaces::Both, |_| Vec::new())
    }

    /// The same with a victim of other namespaces, and that reads further files of both mounts, which may lie
    /// below the cgroup that the attackers' cgroups are in.
    #[must_use]
    #[track_caller]
    pub fn with(
        config: &str,
        namespaces: Namespaces,
        more: impl FnOnce(&TestCgroup) -> Vec<PathBuf>,
    ) -> Self {
        let turn = File::create(std::env::temp_dir().join(TURN)).unwrap();
        flock(&turn, FlockOperation::LockExclusive).unwrap();
        let stuck = if guest() { 60 } else { 4 };
        let stuck = format!("[worker]\nstuck_seconds = {stuck}\n");
        let options = MountOptions {
            config: if config.contains("[worker]") {
                config.to_owned()
            } else {
                format!("{config}{stuck}")
            },
            ..MountOptions::default()
        };
        let (mounted, control) = (Mounted::with(&options), Mounted::with(&options));
        let slice = TestCgroup::new();
        let own = slice.child("victim");
        let container = TestContainer::with(&mounted, &own, namespaces);
        let victim = Victim::start(&container, [&mounted, &control], &more(&slice));
        let mut arena = Self {
            victim,
            started: Default::default(),
            quiet: Felt::default(),
            before: Used::by(mounted.pid()),
            unreadable: String::new(),
            worker: mounted.pid(),
            attackers: 1,
            mounted,
            control,
            _own: own,
            slice,
            _turn: turn,
        };
        // The first round is not counted: containers are found and files are opened in it.
        arena.measure(round() / 4, None);
        arena.quiet = arena.worst_of_rounds();
        arena.started = arena.starts();
        arena.unreadable = arena.unreadable();
        arena.before = Used::by(arena.worker);
        arena
    }

    /// The mount that is attacked.
    #[must_use]
    pub fn mounted(&self) -> &Mounted {
        &self.mounted
    }

    /// The cgroup that is above those of the victim and of the attackers.
    #[must_use]
    pub fn slice(&self) -> &TestCgroup {
        &self.slice
    }

    /// A cgroup for an attacker.
    #[must_use]
    pub fn attackers(&self, name: &str) -> TestCgroup {
        let cgroup = self.slice.child(name);
        cgroup.weigh(WEIGHT_PERCENT);
        cgroup
    }

    /// Starts an attack in a container and waits until it is under way.
    #[must_use]
    #[track_caller]
    pub fn attack(
        &self,
        cgroup: &TestCgroup,
        namespaces: Namespaces,
        role: &str,
        start: Start<'_>,
    ) -> Running {
        let container = TestContainer::with(&self.mounted, cgroup, namespaces);
        let mut running = Running::start(&container, role, start);
        running.expect("ready");
        running
    }

    /// Asserts that the victim, a container that starts, and the worker withstand the attack, and that all that
    /// vistafs has used for the attacker is given back after its end.
    #[track_caller]
    pub fn withstand(mut self, attack: Vec<Running>) {
        let Outcome { rounds, faults } = self.beside(attack, ROUNDS);
        let rounds = rounds.iter().map(|felt| format!("beside it: {felt}\n"));
        assert!(
            faults.is_empty(),
            "without the attack: {}\n{}{}",
            self.quiet,
            rounds.collect::<String>(),
            faults.join("\n")
        );
    }

    /// What the victim feels in some rounds beside an attack, which ends then, and what is against the rule.
    #[must_use]
    pub fn beside(&mut self, attack: Vec<Running>, count: usize) -> Outcome {
        let mut attack = Some(attack);
        let mut faults = Vec::new();
        let mut peak = Used::by(self.worker);
        let mut rounds = Vec::new();
        for _ in 0..count {
            let felt = self.measure(round(), Some(&mut attack));
            println!("beside the attack: {felt}");
            peak = peak.max(Used::by(self.worker));
            rounds.push(felt);
            if attack.is_none() {
                faults.push("a read did not end before the attack did".to_owned());
                break;
            }
        }
        if attack.is_some() {
            let (beside, control) = self.starts();
            println!("to start a container takes {beside:?}; on the other mount {control:?}");
            let most = self.started.0.max(self.started.1).max(control) * TIMES;
            if beside > most {
                faults.push(format!(
                    "a container took {beside:?} to start beside the attack (at most {most:?})"
                ));
            }
        }
        peak = peak.max(Used::by(self.worker));
        faults.extend(self.felt_too_much(&rounds));
        faults.extend(self.used_too_much(peak));
        drop(attack);
        let worker = self.mounted.pid();
        if worker != self.worker {
            faults.push("the worker was replaced".to_owned());
            self.worker = worker;
        } else if self.attackers == 1 {
            faults.extend(self.not_given_back());
        }
        faults.extend(self.restarted());
        let unreadable = self.unreadable();
        if unreadable != self.unreadable {
            faults.push(format!("a container cannot read any more: {unreadable}"));
        }
        Outcome { rounds, faults }
    }

    /// How many containers attack at the same time: each has a budget of its own. What is given back is looked
    /// at only where it is one.
    pub fn expect_attackers(&mut self, attackers: usize) {
        self.attackers = attackers;
    }

    /// Restarts of workers, as the metrics count them.
    fn restarted(&self) -> Vec<String> {
        let metrics = self.mounted.read("metrics");
        let counts = metrics.lines().filter(|line| {
            line.starts_with("vistafs_worker_restarts_total{") && !line.ends_with(" 0")
        });
        counts.map(|line| format!("metrics: {line}")).collect()
    }

    fn felt_too_much(&self, rounds: &[Felt]) -> Vec<String> {
        let quiet = self.quiet.attacked.worst.max(self.quiet.control.worst);
        let mut faults = Vec::new();
        let mut slow = 0;
        for felt in rounds {
            let beside = felt.control.worst.max(quiet);
            slow += usize::from(felt.attacked.worst > beside * TIMES);
            let added = felt.attacked.worst.saturating_sub(felt.control.worst);
            if !guest() && added > LONGEST {
                faults.push(format!("the attack made a read {added:?} longer"));
            }
            faults.extend(felt.attacked.error.clone());
        }
        if slow > 1 || slow == rounds.len() {
            faults.push(format!(
                "in {slow} rounds of {} the slowest read took more than {TIMES} times as long as without \
                 the attack ({quiet:?}) and as beside it on the other mount",
                rounds.len()
            ));
        }
        faults
    }

    fn used_too_much(&self, peak: Used) -> Vec<String> {
        let before = self.before;
        println!("the worker used {before:?}, beside the attack {peak:?}");
        let attackers = self.attackers as u64;
        let bounds = [
            (
                "KiB of memory",
                before.memory_kib,
                peak.memory_kib,
                MEMORY_KIB,
            ),
            (
                "descriptors",
                before.descriptors,
                peak.descriptors,
                DESCRIPTORS,
            ),
            ("threads", before.threads, peak.threads, THREADS),
        ];
        let exceeded =
            |&(_, before, peak, most): &(&str, u64, u64, u64)| peak > before + most * attackers;
        let told = |(what, before, peak, _)| {
            format!("the worker had {before} {what}, beside the attack {peak}")
        };
        bounds.into_iter().filter(exceeded).map(told).collect()
    }

    fn not_given_back(&self) -> Option<String> {
        let begun = Instant::now();
        let mut left = Used::by(self.worker);
        while begun.elapsed() < GIVEN_BACK {
            left = Used::by(self.worker);
            if left.memory_kib <= self.before.memory_kib + LEFT_KIB
                && left.descriptors <= self.before.descriptors + LEFT_DESCRIPTORS
            {
                println!("given back after {:?}: {left:?}", begun.elapsed());
                return None;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let before = self.before;
        Some(format!(
            "{GIVEN_BACK:?} after the attack {left:?} is left, of {before:?} before it"
        ))
    }

    /// The files that a container cannot read.
    fn unreadable(&self) -> String {
        let cgroup = self.slice.child("reader");
        let script = "cd $M; find proc -type f | while read f; do \
                      cat /$f >/dev/null 2>&1 || echo $f; done";
        TestContainer::new(&self.mounted, &cgroup).run(script)
    }

    /// How long a container takes to start on each mount, all its bind mounts included.
    fn starts(&self) -> (Duration, Duration) {
        let start = |mounted: &Mounted| {
            let cgroup = self.slice.child("start");
            let begun = Instant::now();
            let _ = TestContainer::new(mounted, &cgroup).run("read uptime idle </proc/uptime");
            begun.elapsed()
        };
        (start(&self.mounted), start(&self.control))
    }

    fn worst_of_rounds(&mut self) -> Felt {
        let mut worst = Felt::default();
        for _ in 0..ROUNDS {
            let felt = self.measure(round(), None);
            worst.attacked.worst = worst.attacked.worst.max(felt.attacked.worst);
            worst.control.worst = worst.control.worst.max(felt.control.worst);
            worst.attacked.reads += felt.attacked.reads;
            worst.control.reads += felt.control.reads;
            let error = felt.attacked.error.or(felt.control.error);
            assert_eq!(error, None, "before the attack");
        }
        println!("without the attack: {worst}");
        worst
    }

    /// One round. An attack that holds a read for longer than another round is ended: how long the read took
    /// until then is what counts.
    fn measure(&mut self, length: Duration, attack: Option<&mut Option<Vec<Running>>>) -> Felt {
        self.victim.begin(length);
        let felt = self.victim.felt_within(length * 3);
        felt.unwrap_or_else(|| {
            if let Some(attack) = attack {
                drop(attack.take());
            }
            let felt = self.victim.felt_within(Duration::from_secs(120));
            felt.expect("the victim's read ends when the attack has ended")
        })
    }
}
