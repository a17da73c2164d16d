//! The counters that a container was shown, so that none of them ever decreases.
//!
//! The kernel's sums only grow, but the shown part depends on the visible CPUs, and these change
//! with quota and cpuset. So each reading adds the growth *since the last one*:
//!
//! - time used on a visible CPU is charged to it; time on an unknown CPU (v2) or on a hidden one is
//!   charged to the visible CPUs in proportion to their remaining capacity in the interval;
//! - time throttled by a quota is charged as stolen, as far as there is capacity;
//! - the rest is idle. Usage beyond all capacity is owed, and subtracted from later idle time;
//! - a CPU that is no longer visible leaves its counters to the first visible one: the sum stays.
//!
//! So the columns of all CPUs together grow by visible CPUs x time passed.
//!
//! Stored in ns, shown in whole ticks: the ticks of a column on all CPUs together are the column's
//! time rounded down to ticks, not rounded down per CPU.

use std::cmp::Reverse;
use std::ops::Add;
use std::time::Duration;

use vistafs_cgroup::{CpuUsage, PerCpu};
use vistafs_text::CpuSet;
use vistafs_text::stat::CpuTimes;

/// The columns that can be non-zero.
pub(super) const COLUMNS: usize = 5;
const USER: usize = 0;
const NICE: usize = 1;
const SYSTEM: usize = 2;
const STEAL: usize = 3;
const IDLE: usize = 4;

/// One reading of the kernel's counters.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    /// The container's age.
    pub(crate) age: Duration,
    /// Sums since the container's start, ns.
    pub(crate) usage: CpuUsage,
    /// The same per CPU, or empty where only sums are known.
    pub(crate) per_cpu: &'a [PerCpu],
    /// The visible CPUs.
    pub(crate) visible: &'a CpuSet,
    /// Number of moves to other cgroups: after a move the sums count other cgroups.
    pub(crate) moves: u64,
    /// USER_HZ.
    pub(crate) ticks_per_second: u64,
}

/// Times shown for one CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Account {
    /// Ticks shown.
    pub(super) shown: [u64; COLUMNS],
    /// ns not shown yet; negative where a tick was shown early to keep the sum.
    pub(super) pending: [i64; COLUMNS],
    /// The kernel's counters at the last reading (total, user, system), ns.
    pub(super) seen: [u64; 3],
}

impl Account {
    /// Shows `ticks` more (or fewer) of a column.
    fn give(&mut self, column: usize, ticks: i64, tick: i64) {
        self.pending[column] -= ticks * tick;
        self.shown[column] = self.shown[column].saturating_add_signed(ticks);
    }
}

/// The counters of one container.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(super) accounts: Vec<Account>,
    pub(super) visible: CpuSet,
    pub(super) age: u64,
    pub(super) usage: CpuUsage,
    pub(super) moves: u64,
    /// ns at low priority shown before the user time that contains them.
    pub(super) early_nice: u64,
    /// ns charged beyond the time that had passed.
    pub(super) owed: u64,
    // Buffer for readings.
    charges: Charges,
    candidates: Vec<Candidate>,
}

/// A CPU that may be shown one tick more or less.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    cpu: u32,
    pending: i64,
    was_given: bool,
}

impl Ledger {
    /// Adds the growth since the last reading. A reading older than the last is ignored.
    pub(crate) fn enter(&mut self, reading: &Reading<'_>) {
        let highest = reading.visible.iter().last().unwrap_or(0);
        let known = reading.per_cpu.iter().map(|p| p.cpu).max().unwrap_or(0);
        let wanted = index(highest.max(known)) + 1;
        self.make_accounts(wanted);
        let Some(first) = reading.visible.first() else {
            return;
        };
        let age = u64::try_from(reading.age.as_nanos()).unwrap_or(u64::MAX);
        let Some(passed) = age.checked_sub(self.age) else {
            return;
        };
        self.age = age;
        let first_reading = self.visible.is_empty();
        self.hand_over_hidden(reading.visible, first);
        if self.moves != reading.moves {
            self.begin_anew(reading);
        }
        let mut throttled = self.held_back(reading, first_reading);

        let all_user = grown(&mut self.usage.user, reading.usage.user);
        let system = grown(&mut self.usage.system, reading.usage.system);
        let told_nice =
            grown(&mut self.usage.nice, reading.usage.nice).saturating_add(self.early_nice);
        let nice = told_nice.min(all_user);
        self.early_nice = told_nice - nice;

        let cpus = reading.visible.len();
        let mut charges = std::mem::take(&mut self.charges);
        charges.begin(passed, cpus);
        if reading.per_cpu.is_empty() {
            charges.spread(USER, all_user - nice);
            charges.spread(NICE, nice);
            charges.spread(SYSTEM, system);
        } else {
            self.charge_per_cpu(reading, &mut charges);
        }
        if reading.usage.throttled_by > 0 && charges.total() == 0 {
            // An ancestor's quota throttled other cgroups.
            throttled = 0;
        }
        charges.spread(STEAL, throttled.min(charges.room()));
        self.owed = charges.idle_the_rest(self.owed);
        if first_reading {
            // Usage before the container's start is not owed.
            self.owed = 0;
        }
        for (cpu, charge) in reading.visible.iter().zip(&charges.columns) {
            let account = &mut self.accounts[index(cpu)];
            for (pending, ns) in account.pending.iter_mut().zip(charge) {
                *pending = pending.saturating_add(i64::try_from(*ns).unwrap_or(i64::MAX));
            }
        }
        self.charges = charges;
        let tick = 1_000_000_000 / i64::try_from(reading.ticks_per_second.max(1)).unwrap_or(100);
        for column in 0..COLUMNS {
            self.show_ticks(column, tick.max(1));
        }
    }

    /// Grows to at least `wanted` CPUs. Most containers never see more CPUs than at first.
    pub(super) fn make_accounts(&mut self, wanted: usize) {
        let missing = wanted.saturating_sub(self.accounts.len());
        if missing > 0 {
            self.accounts.reserve_exact(missing);
            self.accounts.resize(wanted, Account::default());
        }
    }

    /// Restarts counting from the sums of the new cgroups.
    fn begin_anew(&mut self, reading: &Reading<'_>) {
        self.moves = reading.moves;
        self.usage = reading.usage;
        self.early_nice = 0;
        for now in reading.per_cpu {
            self.accounts[index(now.cpu)].seen = [now.total, now.user, now.system];
        }
    }

    /// Growth of the throttled time. Earlier throttling by an ancestor does not count.
    fn held_back(&mut self, reading: &Reading<'_>, first_reading: bool) -> u64 {
        let by = reading.usage.throttled_by;
        let other = by != self.usage.throttled_by || (first_reading && by > 0);
        self.usage.throttled_by = by;
        let growth = grown(&mut self.usage.throttled, reading.usage.throttled);
        if other { 0 } else { growth }
    }

    /// The line of a visible CPU.
    pub(crate) fn of(&self, cpu: u32) -> CpuTimes {
        let shown = self
            .accounts
            .get(index(cpu))
            .map(|a| a.shown)
            .unwrap_or_default();
        CpuTimes {
            user: shown[USER],
            nice: shown[NICE],
            system: shown[SYSTEM],
            idle: shown[IDLE],
            steal: shown[STEAL],
            ..CpuTimes::default()
        }
    }

    /// The exact sum of the lines of the visible CPUs.
    pub(crate) fn sum(&self) -> CpuTimes {
        let lines = self.visible.iter().map(|cpu| self.of(cpu));
        lines.fold(CpuTimes::default(), CpuTimes::add)
    }

    fn hand_over_hidden(&mut self, visible: &CpuSet, heir: u32) {
        if *visible == self.visible {
            return;
        }
        for cpu in &self.visible {
            if visible.contains(cpu) {
                continue;
            }
            let seen = self.accounts[index(cpu)].seen;
            let left = std::mem::take(&mut self.accounts[index(cpu)]);
            self.accounts[index(cpu)].seen = seen;
            let account = &mut self.accounts[index(heir)];
            for column in 0..COLUMNS {
                account.shown[column] = account.shown[column].saturating_add(left.shown[column]);
                account.pending[column] =
                    account.pending[column].saturating_add(left.pending[column]);
            }
        }
        self.visible.clone_from(visible);
    }

    /// v1: charges each CPU's own time to it, and the time on hidden CPUs to all visible ones.
    fn charge_per_cpu(&mut self, reading: &Reading<'_>, charges: &mut Charges) {
        let mut hidden = [0u64; 2];
        for per_cpu in reading.per_cpu {
            let seen = &mut self.accounts[index(per_cpu.cpu)].seen;
            let total = grown(&mut seen[0], per_cpu.total);
            let user = grown(&mut seen[1], per_cpu.user);
            let system = grown(&mut seen[2], per_cpu.system);
            let (user, system) = if user == 0 && system == 0 {
                // No tick since the last reading: use the overall ratio.
                PerCpu::split(total, per_cpu.user, per_cpu.system)
            } else {
                PerCpu::split(total, user, system)
            };
            let ordinal = reading.visible.position(per_cpu.cpu);
            match ordinal.map(index) {
                Some(ordinal) => {
                    charges.columns[ordinal][USER] = user;
                    charges.columns[ordinal][SYSTEM] = system;
                }
                None => {
                    hidden[0] = hidden[0].saturating_add(user);
                    hidden[1] = hidden[1].saturating_add(system);
                }
            }
        }
        charges.spread(USER, hidden[0]);
        charges.spread(SYSTEM, hidden[1]);
    }

    /// Turns pending time into ticks: as many as the column's sum has, for the CPUs with the most
    /// pending time.
    fn show_ticks(&mut self, column: usize, tick: i64) {
        let mut sum: i64 = 0;
        let mut whole: i64 = 0;
        self.candidates.clear();
        for cpu in &self.visible {
            let account = &mut self.accounts[index(cpu)];
            let pending = account.pending[column];
            sum = sum.saturating_add(pending);
            let ticks = pending.div_euclid(tick).max(0);
            whole = whole.saturating_add(ticks);
            account.give(column, ticks, tick);
            self.candidates.push(Candidate {
                cpu,
                pending: account.pending[column],
                was_given: ticks > 0,
            });
        }
        // One more for each of the CPUs nearest to it; or, where an earlier reading was so
        // generous, one less for the CPUs least far beyond it.
        let missing = sum.div_euclid(tick).max(0) - whole;
        let count = usize::try_from(missing.unsigned_abs()).unwrap_or(usize::MAX);
        let chosen = if missing < 0 {
            self.candidates.retain(|one| one.was_given);
            first_by(&mut self.candidates, count, |one| {
                (one.pending, Reverse(one.cpu))
            })
        } else {
            first_by(&mut self.candidates, count, |one| {
                (Reverse(one.pending), one.cpu)
            })
        };
        for one in chosen {
            self.accounts[index(one.cpu)].give(column, missing.signum(), tick);
        }
    }
}

/// The first ones in the order of a key, themselves unordered: found without sorting all of them.
fn first_by<K: Ord>(
    all: &mut [Candidate],
    count: usize,
    key: impl FnMut(&Candidate) -> K,
) -> &[Candidate] {
    if (1..all.len()).contains(&count) {
        all.select_nth_unstable_by_key(count - 1, key);
    }
    &all[..count.min(all.len())]
}

fn index(cpu: u32) -> usize {
    usize::try_from(cpu).unwrap_or(usize::MAX - 1)
}

/// How much a counter has grown. A smaller value means a restart, for example in another cgroup:
/// what comes from now on counts.
fn grown(seen: &mut u64, now: u64) -> u64 {
    now.saturating_sub(std::mem::replace(seen, now))
}

/// Charge of a reading to each visible CPU, ns.
#[derive(Debug, Default)]
struct Charges {
    passed: u64,
    columns: Vec<[u64; COLUMNS]>,
    rooms: Vec<u64>,
}

impl Charges {
    /// Nothing is charged yet.
    fn begin(&mut self, passed: u64, cpus: usize) {
        self.passed = passed;
        self.columns.clear();
        self.columns.resize(cpus, [0; COLUMNS]);
    }

    fn room_of(&self, ordinal: usize) -> u64 {
        self.passed
            .saturating_sub(sum(self.columns[ordinal].iter()))
    }

    /// Remaining time of the interval, on all CPUs.
    fn room(&self) -> u64 {
        (0..self.columns.len()).fold(0, |room, ordinal| {
            room.saturating_add(self.room_of(ordinal))
        })
    }

    fn total(&self) -> u64 {
        sum(self.columns.iter().flatten())
    }

    /// Charges `ns` to the CPUs in proportion to their capacity; the excess in equal parts.
    fn spread(&mut self, column: usize, ns: u64) {
        let mut rooms = std::mem::take(&mut self.rooms);
        rooms.clear();
        rooms.extend((0..self.columns.len()).map(|ordinal| self.room_of(ordinal)));
        let room = rooms
            .iter()
            .fold(0, |all: u128, room| all + u128::from(*room));
        let fits = ns.min(u64::try_from(room).unwrap_or(u64::MAX));
        let mut left = fits;
        for (charge, room_of) in self.columns.iter_mut().zip(&rooms) {
            let share = (u128::from(fits) * u128::from(*room_of))
                .checked_div(room)
                .unwrap_or(0);
            let share = u64::try_from(share).unwrap_or(0).min(left);
            charge[column] = charge[column].saturating_add(share);
            left -= share;
        }
        self.rooms = rooms;
        // The remainder of the division, and the excess.
        let left = left.saturating_add(ns - fits);
        let cpus = self.columns.len() as u64;
        let (Some(each), Some(rest)) = (left.checked_div(cpus), left.checked_rem(cpus)) else {
            return;
        };
        for (ordinal, charge) in (0..).zip(&mut self.columns) {
            charge[column] = charge[column].saturating_add(each + u64::from(ordinal < rest));
        }
    }

    /// Charges the rest of the time as idle, less the owed time; returns the remaining debt.
    fn idle_the_rest(&mut self, owed: u64) -> u64 {
        let beyond = |charge: &[u64; COLUMNS]| sum(charge.iter()).saturating_sub(self.passed);
        let mut owed = self
            .columns
            .iter()
            .fold(owed, |owed, charge| owed.saturating_add(beyond(charge)));
        for ordinal in 0..self.columns.len() {
            let room = self.room_of(ordinal);
            let paid = room.min(owed);
            owed -= paid;
            self.columns[ordinal][IDLE] = room - paid;
        }
        owed
    }
}

fn sum<'n>(numbers: impl Iterator<Item = &'n u64>) -> u64 {
    numbers.fold(0, |sum, ns| sum.saturating_add(*ns))
}

#[cfg(test)]
mod tests;
