//! The container's block I/O by device: the source of `proc/diskstats` and `proc/partitions`.
//!
//! The kernel's counters can decrease: on v1 a removed cgroup's part is subtracted from its
//! ancestors, and a container may be moved. Programs use differences, so each reading adds the
//! growth since the last one to the container's [`Ledger`].

use std::cell::Cell;
use std::time::Duration;

use vistafs_cgroup::DeviceIo;
use vistafs_text::{Device, IoCounts};
use vistafs_view::{Context, Lasting, ViewError, words};

/// I/O of the container by device.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The container's age at the last reading.
    age: Duration,
    accounts: Vec<Account>,
}

#[derive(Debug, Clone, Copy)]
struct Account {
    device: Device,
    /// The kernel's counters at the last reading.
    seen: IoCounts,
    shown: IoCounts,
}

thread_local! {
    /// Buffer for the kernel's counters, reused by a thread's readings.
    static DEVICES: Cell<Vec<DeviceIo>> = const { Cell::new(Vec::new()) };
}

/// Takes a reading and calls `show` with all I/O. `None`: the kernel does not count the container's
/// I/O.
pub(crate) fn read<T>(
    cx: &mut Context<'_>,
    show: impl FnOnce(&Ledger) -> T,
) -> Result<Option<T>, ViewError> {
    // Before the counters: then the later of two readings has the higher counters.
    let age = cx.age();
    let mut devices = DEVICES.take();
    if !cx.device_io(&mut devices)? {
        return Ok(None);
    }
    let shown = cx.container().kept(|ledger: &mut Ledger| {
        ledger.enter(age, &devices);
        show(ledger)
    });
    DEVICES.set(devices);
    Ok(Some(shown))
}

impl Ledger {
    /// A reading older than the last is ignored.
    fn enter(&mut self, age: Duration, devices: &[DeviceIo]) {
        if age < self.age {
            return;
        }
        self.age = age;
        // A removed device; another may reuse its numbers.
        self.accounts
            .retain(|account| devices.iter().any(|now| now.device == account.device));
        for now in devices {
            let known = self.accounts.iter_mut().find(|a| a.device == now.device);
            match known {
                Some(account) => {
                    let growth = now.done.zip_with(account.seen, u64::saturating_sub);
                    account.seen = now.done;
                    account.shown = account.shown.zip_with(growth, u64::saturating_add);
                }
                None => {
                    // Most containers use one device, or two.
                    self.accounts.reserve_exact(1);
                    self.accounts.push(Account {
                        device: now.device,
                        seen: now.done,
                        shown: now.done,
                    });
                }
            }
        }
    }

    /// I/O on a device; `None`: the container has not used it.
    pub(crate) fn done(&self, device: Device) -> Option<&IoCounts> {
        let account = self.accounts.iter().find(|a| a.device == device)?;
        (account.shown != IoCounts::default()).then_some(&account.shown)
    }
}

impl Lasting for Ledger {
    const NAME: &'static str = "device i/o 1";

    fn record(&self, out: &mut Vec<u8>) {
        let age = u64::try_from(self.age.as_nanos()).unwrap_or(u64::MAX);
        words::push(out, &[age]);
        for account in &self.accounts {
            let Device { major, minor } = account.device;
            words::push(out, &[major.into(), minor.into()]);
            words::push(out, &numbers(account.seen));
            words::push(out, &numbers(account.shown));
        }
    }

    fn restore(mut record: &[u8], _moves: u64) -> Option<Self> {
        let [age] = words::take(&mut record)?;
        let mut ledger = Self {
            age: Duration::from_nanos(age),
            accounts: Vec::new(),
        };
        while !record.is_empty() {
            let [major, minor] = words::take(&mut record)?;
            ledger.accounts.push(Account {
                device: Device {
                    major: major.try_into().ok()?,
                    minor: minor.try_into().ok()?,
                },
                seen: counts(words::take(&mut record)?),
                shown: counts(words::take(&mut record)?),
            });
        }
        Some(ledger)
    }
}

fn numbers(counts: IoCounts) -> [u64; 6] {
    [
        counts.read_bytes,
        counts.write_bytes,
        counts.discard_bytes,
        counts.reads,
        counts.writes,
        counts.discards,
    ]
}

fn counts(numbers: [u64; 6]) -> IoCounts {
    let [
        read_bytes,
        write_bytes,
        discard_bytes,
        reads,
        writes,
        discards,
    ] = numbers;
    IoCounts {
        read_bytes,
        write_bytes,
        discard_bytes,
        reads,
        writes,
        discards,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: Device = Device { major: 8, minor: 0 };

    fn enter(ledger: &mut Ledger, seconds: u64, reads: &[u64]) -> Option<u64> {
        let io = |reads: &u64| DeviceIo {
            device: DISK,
            done: IoCounts {
                reads: *reads,
                ..IoCounts::default()
            },
        };
        let devices: Vec<_> = reads.iter().map(io).collect();
        ledger.enter(Duration::from_secs(seconds), &devices);
        ledger.done(DISK).map(|done| done.reads)
    }

    #[test]
    fn no_counter_goes_down() {
        let mut ledger = Ledger::default();
        assert_eq!(enter(&mut ledger, 1, &[]), None);
        assert_eq!(enter(&mut ledger, 2, &[0]), None, "not used yet");
        assert_eq!(enter(&mut ledger, 3, &[10]), Some(10));
        assert_eq!(enter(&mut ledger, 4, &[4]), Some(10), "a child was removed");
        assert_eq!(enter(&mut ledger, 5, &[6]), Some(12));
        assert_eq!(enter(&mut ledger, 4, &[5]), Some(12), "an older reading");
        assert_eq!(enter(&mut ledger, 6, &[7]), Some(13));
        assert_eq!(enter(&mut ledger, 7, &[u64::MAX]), Some(u64::MAX));
    }

    #[test]
    fn another_device_of_the_same_numbers_begins_anew() {
        let mut ledger = Ledger::default();
        assert_eq!(enter(&mut ledger, 1, &[10]), Some(10));
        assert_eq!(enter(&mut ledger, 2, &[]), None);
        assert_eq!(enter(&mut ledger, 3, &[2]), Some(2));
    }

    #[test]
    fn the_next_process_goes_on_from_the_record() {
        let mut ledger = Ledger::default();
        let mut last = 0;
        for (seconds, reads) in (1..).zip([10, 4, 6, 0, 8, 8, u64::MAX]) {
            let mut record = Vec::new();
            ledger.record(&mut record);
            for length in 0..record.len() {
                // Cut short, it is another one or none.
                let cut = Ledger::restore(&record[..length], 0);
                assert!(cut.is_none_or(|cut| cut.accounts.len() < ledger.accounts.len()));
            }
            ledger = Ledger::restore(&record, 0).unwrap();
            let shown = enter(&mut ledger, seconds, &[reads]).unwrap();
            assert!(shown >= last, "{last} {shown}");
            last = shown;
        }
    }
}
