//! The ledger as a record, from which the next process continues.
//!
//! Words: age, user, nice, system, throttled, throttling level, nice shown early, owed, number of visible CPUs,
//! these; then of each CPU that is not all zero its number, and its account. A record is not trusted:
//! one that makes no sense is none.

use vistafs_cgroup::CpuUsage;
use vistafs_view::{Lasting, words};

use super::ledger::{Account, COLUMNS, Ledger};

/// More CPUs than any kernel supports.
const MOST_CPUS: usize = 1 << 16;

/// Pending time is less than a second, in either direction. A larger value is invalid and would be a jump.
const MOST_PENDING: i64 = 1_000_000_000_000;

impl Lasting for Ledger {
    const NAME: &'static str = "cpu time 1";

    fn record(&self, out: &mut Vec<u8>) {
        let usage = self.usage;
        let throttled_by = u64::try_from(usage.throttled_by).unwrap_or(u64::MAX);
        words::push(out, &[self.age, usage.user, usage.nice, usage.system]);
        words::push(out, &[usage.throttled, throttled_by]);
        words::push(out, &[self.early_nice, self.owed]);
        words::push(out, &[self.visible.len() as u64]);
        for cpu in &self.visible {
            words::push(out, &[cpu.into()]);
        }
        for (cpu, account) in (0_u64..).zip(&self.accounts) {
            if *account == Account::default() {
                continue;
            }
            words::push(out, &[cpu]);
            words::push(out, &account.shown);
            words::push(out, &account.pending.map(i64::cast_unsigned));
            words::push(out, &account.seen);
        }
    }

    fn restore(mut record: &[u8], moves: u64) -> Option<Self> {
        let record = &mut record;
        let [age, user, nice, system] = words::take(record)?;
        let [throttled, throttled_by] = words::take(record)?;
        let [early_nice, owed, visible] = words::take(record)?;
        let mut ledger = Self::default();
        ledger.age = age;
        ledger.usage = CpuUsage {
            user,
            nice,
            system,
            throttled,
            throttled_by: usize::try_from(throttled_by).ok()?,
        };
        ledger.moves = moves;
        ledger.early_nice = early_nice;
        ledger.owed = owed;
        for _ in 0..visible {
            let [cpu] = words::take(record)?;
            ledger.visible.insert(u32::try_from(cpu).ok()?);
            ledger.account(usize::try_from(cpu).ok()?)?;
        }
        while !record.is_empty() {
            let [cpu] = words::take(record)?;
            *ledger.account(usize::try_from(cpu).ok()?)? = Account {
                shown: words::take::<COLUMNS>(record)?,
                pending: words::take::<COLUMNS>(record)?.map(u64::cast_signed),
                seen: words::take(record)?,
            };
        }
        let makes_sense = |account: &Account| {
            let pending = -MOST_PENDING..=MOST_PENDING;
            account.pending.iter().all(|ns| pending.contains(ns))
        };
        ledger.accounts.iter().all(makes_sense).then_some(ledger)
    }
}

impl Ledger {
    /// The account of a CPU, added if missing.
    fn account(&mut self, cpu: usize) -> Option<&mut Account> {
        if cpu >= MOST_CPUS {
            return None;
        }
        self.make_accounts(cpu + 1);
        self.accounts.get_mut(cpu)
    }
}

#[cfg(test)]
mod tests;
