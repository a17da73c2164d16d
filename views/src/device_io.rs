//! The container's block I/O by device: what `proc/diskstats` and `proc/partitions` start from.
//!
//! The kernel's counters can go down: on v1 a cgroup that is removed takes its part out of those of
//! its ancestors, and a container may be moved. Readers take differences, so each reading enters
//! what has come since the last one into the container's [`Ledger`].

use std::time::Duration;

use parking_lot::Mutex;
use vistafs_cgroup::DeviceIo;
use vistafs_text::{Device, IoCounts};
use vistafs_view::{Context, ViewError};

/// What has been done on the devices that the container has used.
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

/// Takes a reading and calls `show` with all that was done. `None`: nobody counts the container's
/// I/O.
pub(crate) fn read<T>(
    cx: &mut Context<'_>,
    show: impl FnOnce(&Ledger) -> T,
) -> Result<Option<T>, ViewError> {
    // Before the counters: of two readings the later one then has the higher counters.
    let age = cx.age();
    let mut devices = Vec::new();
    if !cx.device_io(&mut devices)? {
        return Ok(None);
    }
    let ledger = cx.container().state::<Mutex<Ledger>>();
    let mut ledger = ledger.lock();
    ledger.enter(age, &devices);
    Ok(Some(show(&ledger)))
}

impl Ledger {
    /// An older reading than the last changes nothing.
    fn enter(&mut self, age: Duration, devices: &[DeviceIo]) {
        if age < self.age {
            return;
        }
        self.age = age;
        // A device that is gone; another may come with its numbers.
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
                None => self.accounts.push(Account {
                    device: now.device,
                    seen: now.done,
                    shown: now.done,
                }),
            }
        }
    }

    /// What was done on a device; `None`: the container has not used it.
    pub(crate) fn done(&self, device: Device) -> Option<&IoCounts> {
        let account = self.accounts.iter().find(|a| a.device == device)?;
        (account.shown != IoCounts::default()).then_some(&account.shown)
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
}
