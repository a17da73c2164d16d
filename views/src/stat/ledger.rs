//! The counters that a container was shown, so that none of them ever goes down.
//!
//! The kernel's sums only grow, but what is shown of them depends on which CPUs are visible, and
//! that changes with quota and cpuset. So each reading enters what has come *since the last one*:
//!
//! - time used and time stolen go to the visible CPUs;
//! - each visible CPU idles for the rest of the time that has passed. One that was charged more
//!   than has passed owes it and idles less later;
//! - a CPU that is no longer visible leaves its counters to the first visible one: the sum stays.
//!
//! Kept in ns, shown in whole ticks: of each column, the ticks shown on all CPUs together are the
//! column's time cut to ticks, not a tick less per CPU.

use std::ops::Add;
use std::time::Duration;

use vistafs_cgroup::{CpuUsage, PerCpu};
use vistafs_text::CpuSet;
use vistafs_text::stat::CpuTimes;

/// The columns that can be other than zero.
const COLUMNS: usize = 5;
const USER: usize = 0;
const NICE: usize = 1;
const SYSTEM: usize = 2;
const STEAL: usize = 3;
const IDLE: usize = 4;

/// One look at the kernel's counters.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    /// The container's age.
    pub(super) age: Duration,
    /// Sums since the container's start, ns.
    pub(super) usage: CpuUsage,
    /// The same per CPU, or empty where only sums are known.
    pub(super) per_cpu: &'a [PerCpu],
    /// The CPUs that are shown.
    pub(super) visible: &'a CpuSet,
    /// USER_HZ.
    pub(super) ticks_per_second: u64,
}

/// What one CPU was shown.
#[derive(Debug, Clone, Copy, Default)]
struct Account {
    /// Ticks shown.
    shown: [u64; COLUMNS],
    /// ns not shown yet; negative where a tick was shown early for the sake of the sum.
    pending: [i64; COLUMNS],
    /// ns charged beyond the time that has passed.
    owed: u64,
    /// The kernel's counters at the last reading (total, user, system), ns.
    seen: [u64; 3],
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
pub(super) struct Ledger {
    accounts: Vec<Account>,
    visible: CpuSet,
    age: u64,
    usage: CpuUsage,
    order: Vec<(u32, bool)>,
}

impl Ledger {
    /// Enters what has come since the last reading. An older reading than the last changes nothing.
    pub(super) fn enter(&mut self, reading: &Reading<'_>) {
        let highest = reading.visible.iter().last().unwrap_or(0);
        let known = reading.per_cpu.iter().map(|p| p.cpu).max().unwrap_or(0);
        let wanted = index(highest.max(known)) + 1;
        if self.accounts.len() < wanted {
            self.accounts.resize(wanted, Account::default());
        }
        let Some(first) = reading.visible.first() else {
            return;
        };
        let first_reading = self.visible.is_empty();
        let age = u64::try_from(reading.age.as_nanos()).unwrap_or(u64::MAX);
        let Some(passed) = age.checked_sub(self.age) else {
            return;
        };
        self.age = age;
        self.hand_over_hidden(reading.visible, first);
        let cpus = reading.visible.len() as u64;

        let user = grown(&mut self.usage.user, reading.usage.user);
        let nice = grown(&mut self.usage.nice, reading.usage.nice);
        let system = grown(&mut self.usage.system, reading.usage.system);
        let throttled = grown(&mut self.usage.throttled, reading.usage.throttled);

        let mut charged = vec![[0u64; COLUMNS]; usize::try_from(cpus).unwrap_or(0)];
        if reading.per_cpu.is_empty() {
            spread(&mut charged, USER, user);
            spread(&mut charged, SYSTEM, system);
        } else {
            self.charge_per_cpu(reading, &mut charged);
        }
        spread(&mut charged, NICE, nice);

        let used = charged
            .iter()
            .flatten()
            .fold(0, |sum: u64, ns| sum.saturating_add(*ns));
        let room = passed.saturating_mul(cpus).saturating_sub(used);
        spread(&mut charged, STEAL, throttled.min(room));

        for (cpu, charge) in reading.visible.iter().zip(&mut charged) {
            let account = &mut self.accounts[index(cpu)];
            let busy = charge
                .iter()
                .fold(account.owed, |sum, ns| sum.saturating_add(*ns));
            charge[IDLE] = passed.saturating_sub(busy);
            // What was used before the container began is not owed by it.
            account.owed = if first_reading {
                0
            } else {
                busy.saturating_sub(passed)
            };
            for (pending, ns) in account.pending.iter_mut().zip(charge) {
                *pending = pending.saturating_add(i64::try_from(*ns).unwrap_or(i64::MAX));
            }
        }
        let tick = 1_000_000_000 / i64::try_from(reading.ticks_per_second.max(1)).unwrap_or(100);
        for column in 0..COLUMNS {
            self.show_ticks(column, tick.max(1));
        }
    }

    /// The line of a visible CPU.
    pub(super) fn of(&self, cpu: u32) -> CpuTimes {
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
    pub(super) fn sum(&self) -> CpuTimes {
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
        self.visible = visible.clone();
    }

    /// v1: each CPU's own time to it, the time on hidden CPUs to all visible ones.
    fn charge_per_cpu(&mut self, reading: &Reading<'_>, charged: &mut [[u64; COLUMNS]]) {
        let visible: Vec<u32> = reading.visible.iter().collect();
        let mut hidden = [0u64; 2];
        for per_cpu in reading.per_cpu {
            let seen = &mut self.accounts[index(per_cpu.cpu)].seen;
            let total = grown(&mut seen[0], per_cpu.total);
            let user = grown(&mut seen[1], per_cpu.user);
            let system = grown(&mut seen[2], per_cpu.system);
            let (user, system) = if user == 0 && system == 0 {
                // No tick since the last reading: as it was on the whole.
                PerCpu::split(total, per_cpu.user, per_cpu.system)
            } else {
                PerCpu::split(total, user, system)
            };
            match visible.binary_search(&per_cpu.cpu) {
                Ok(ordinal) => {
                    charged[ordinal][USER] = user;
                    charged[ordinal][SYSTEM] = system;
                }
                Err(_) => {
                    hidden[0] = hidden[0].saturating_add(user);
                    hidden[1] = hidden[1].saturating_add(system);
                }
            }
        }
        spread(charged, USER, hidden[0]);
        spread(charged, SYSTEM, hidden[1]);
    }

    /// Turns pending time into ticks: as many as the column's sum has, to whom most is pending.
    fn show_ticks(&mut self, column: usize, tick: i64) {
        let mut sum: i64 = 0;
        let mut whole: i64 = 0;
        self.order.clear();
        for cpu in &self.visible {
            let pending = self.accounts[index(cpu)].pending[column];
            sum = sum.saturating_add(pending);
            let ticks = pending.div_euclid(tick).max(0);
            whole = whole.saturating_add(ticks);
            self.accounts[index(cpu)].give(column, ticks, tick);
            self.order.push((cpu, ticks > 0));
        }
        // One more each for those who come nearest to it; or, where an earlier reading was so
        // generous, one less for those who come least far beyond it.
        let missing = sum.div_euclid(tick).max(0) - whole;
        let accounts = &self.accounts;
        self.order
            .sort_by_key(|&(cpu, _)| std::cmp::Reverse(accounts[index(cpu)].pending[column]));
        let order = std::mem::take(&mut self.order);
        let count = usize::try_from(missing.unsigned_abs()).unwrap_or(usize::MAX);
        if missing > 0 {
            for &(cpu, _) in order.iter().take(count) {
                self.accounts[index(cpu)].give(column, 1, tick);
            }
        } else {
            for &(cpu, _) in order.iter().rev().filter(|(_, given)| *given).take(count) {
                self.accounts[index(cpu)].give(column, -1, tick);
            }
        }
        self.order = order;
    }
}

fn index(cpu: u32) -> usize {
    usize::try_from(cpu).unwrap_or(usize::MAX - 1)
}

/// How much a counter has grown. One that has fallen has begun anew, in another cgroup perhaps:
/// what comes from now on counts.
fn grown(seen: &mut u64, now: u64) -> u64 {
    now.saturating_sub(std::mem::replace(seen, now))
}

/// Adds `ns` to a column in equal parts.
fn spread(charged: &mut [[u64; COLUMNS]], column: usize, ns: u64) {
    let cpus = charged.len() as u64;
    let Some(each) = ns.checked_div(cpus) else {
        return;
    };
    let mut rest = ns - each * cpus;
    for charge in charged {
        charge[column] = charge[column].saturating_add(each + u64::from(rest > 0));
        rest = rest.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests;
