//! Chooses the execution of guests: by the processor itself (KVM) where that works, else by emulation (TCG).
//!
//! An existing /dev/kvm is not enough: in some virtual machines it can be opened although the processor
//! cannot run guests, and every guest then dies of an emulation failure. So KVM is used only after it has
//! booted a kernel.

use std::fs::{self, File};
use std::io;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::kernel::KernelFiles;
use crate::run;
use crate::work_dir::WorkDir;

/// An accelerator of qemu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accel {
    Kvm,
    Tcg,
}

/// The choice for this run of the program, `None` until the first guest.
static CHOSEN: Mutex<Option<Accel>> = Mutex::new(None);

/// Timeout until the first process of the probe's kernel. With KVM it usually takes less than 1 s.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

/// The word on the command line that makes guest/init.sh report and exit, and its report.
const PROBE_WORD: &str = "vistafs.probe";
const PROBE_ANSWER: &str = "vistafs-probe: alive";

impl Accel {
    /// The accelerator for this run: probed at the first call, and printed.
    pub(super) fn choose(kernel: &KernelFiles) -> Accel {
        let mut chosen = match CHOSEN.lock() {
            Ok(chosen) => chosen,
            Err(poisoned) => poisoned.into_inner(),
        };
        *chosen.get_or_insert_with(|| {
            let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
            let open = || {
                File::options()
                    .read(true)
                    .write(true)
                    .open("/dev/kvm")
                    .map(drop)
            };
            let (accel, reason) = decide(&cpuinfo, open, || probe(Accel::Kvm, kernel));
            run::say(&format!("vm: guests run on {}: {reason}", accel.name()));
            accel
        })
    }

    /// Disables KVM for the rest of this run.
    pub(super) fn give_up_kvm(reason: &str) {
        run::say(&format!(
            "vm: a guest failed on KVM, guests run on TCG from now on: {reason}"
        ));
        if let Ok(mut chosen) = CHOSEN.lock() {
            *chosen = Some(Accel::Tcg);
        }
    }

    fn name(self) -> &'static str {
        match self {
            Accel::Kvm => "KVM",
            Accel::Tcg => "TCG",
        }
    }

    pub(super) fn options(self) -> &'static str {
        match self {
            Accel::Kvm => "-accel kvm -cpu host",
            Accel::Tcg => "-accel tcg,thread=multi -cpu max",
        }
    }
}

/// The accelerator and the reason. `open` and `boot` are called only if everything before succeeded.
fn decide(
    cpuinfo: &str,
    open: impl FnOnce() -> io::Result<()>,
    boot: impl FnOnce() -> Result<Duration>,
) -> (Accel, String) {
    if !has_extensions(cpuinfo) {
        return (
            Accel::Tcg,
            "neither vmx nor svm in /proc/cpuinfo".to_owned(),
        );
    }
    if let Err(error) = open() {
        return (Accel::Tcg, format!("/dev/kvm: {error}"));
    }
    match boot() {
        Ok(took) => (Accel::Kvm, format!("a kernel booted in {took:.1?}")),
        Err(error) => (Accel::Tcg, format!("no kernel boots with KVM: {error:#}")),
    }
}

/// Whether a processor has virtualization instructions: vmx (Intel) or svm (AMD).
fn has_extensions(cpuinfo: &str) -> bool {
    let flags = cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(key, _)| key.trim_end() == "flags");
    let mut words = flags.flat_map(|(_, flags)| flags.split_whitespace());
    words.any(|word| word == "vmx" || word == "svm")
}

/// Boots the kernel up to its first process and returns the duration.
fn probe(accel: Accel, kernel: &KernelFiles) -> Result<Duration> {
    let work = WorkDir::new()?;
    let console = work.path.join("console.log");
    let started = Instant::now();
    let mut child = Command::new("qemu-system-x86_64")
        .args(accel.options().split_whitespace())
        .args(
            "-machine pc -nodefaults -no-user-config -display none -nic none -no-reboot -m 256M"
                .split(' '),
        )
        .arg("-kernel")
        .arg(&kernel.vmlinuz)
        .arg("-initrd")
        .arg(&kernel.initrd)
        .args(["-append", &format!("console=ttyS0 panic=-1 {PROBE_WORD}")])
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("running qemu-system-x86_64")?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status.to_string();
        }
        if started.elapsed() > PROBE_LIMIT {
            child.kill()?;
            child.wait()?;
            break format!("stopped after {PROBE_LIMIT:?}");
        }
        thread::sleep(Duration::from_millis(20));
    };
    let took = started.elapsed();
    let answered =
        fs::read(&console).is_ok_and(|log| String::from_utf8_lossy(&log).contains(PROBE_ANSWER));
    work.remove();
    if !answered {
        bail!("no answer from the guest ({status})");
    }
    Ok(took)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;
    use std::time::Duration;

    use anyhow::{Result, anyhow};

    use super::{Accel, decide};

    const INTEL: &str = "processor\t: 0\nflags\t\t: fpu vme vmx avx2\nvmx flags\t: vnmi\n";
    const AMD: &str = "processor\t: 0\nflags\t\t: fpu svm\n";
    /// "vmx flags" and words that contain a flag's name do not count.
    const NEITHER: &str = "model name\t: vmx svm\nflags\t\t: fpu svm_lock avx\nvmx flags\t: vmx\n";

    /// The decision, and the number of checks after the processor's flags.
    fn decided(
        cpuinfo: &str,
        open: io::Result<()>,
        boot: Result<Duration>,
    ) -> (Accel, String, u32) {
        let asked = Cell::new(0);
        let count = || asked.set(asked.get() + 1);
        let (accel, reason) = decide(
            cpuinfo,
            || {
                count();
                open
            },
            || {
                count();
                boot
            },
        );
        (accel, reason, asked.get())
    }

    fn denied() -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    #[test]
    fn kvm_is_used_where_a_kernel_boots_with_it() {
        for cpuinfo in [INTEL, AMD] {
            let (accel, reason, asked) = decided(cpuinfo, Ok(()), Ok(Duration::from_secs(1)));
            assert_eq!((accel, asked), (Accel::Kvm, 2), "{reason}");
        }
    }

    #[test]
    fn without_the_flag_the_device_is_not_opened() {
        let (accel, reason, asked) = decided(NEITHER, Ok(()), Ok(Duration::ZERO));
        assert_eq!((accel, asked), (Accel::Tcg, 0), "{reason}");
    }

    #[test]
    fn without_the_device_nothing_is_booted() {
        let (accel, reason, asked) = decided(INTEL, denied(), Ok(Duration::ZERO));
        assert_eq!((accel, asked), (Accel::Tcg, 1));
        assert!(reason.starts_with("/dev/kvm: "), "{reason}");
    }

    #[test]
    fn a_device_that_opens_and_boots_nothing_is_not_used() {
        let (accel, reason, asked) = decided(INTEL, Ok(()), Err(anyhow!("no answer")));
        assert_eq!((accel, asked), (Accel::Tcg, 2));
        assert!(reason.contains("no answer"), "{reason}");
    }
}
