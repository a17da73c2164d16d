//! One run of qemu: its command line, its output, its exit.
//!
//! The processor is emulated (TCG) unless KVM works (see [`accel`](super::accel)): emulation works on every
//! machine, even on a virtual one.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Vm;
use super::accel::Accel;
use super::kernel::KernelFiles;
use crate::run::{self, Tail};

/// Additional time of a guest beyond its job, for the files and the results.
const GRACE: Duration = Duration::from_secs(120);

/// Timeout until a guest begins its job. Usually 7 seconds; 30 on a busy machine.
const BOOT_LIMIT: Duration = Duration::from_secs(90);

/// About one in fifty emulated boots hangs in the kernel, long before the job.
const ATTEMPTS: u32 = 3;

/// The line that guest/job.py writes to the console when it begins.
const STARTED: &str = "vistafs-job: started";

/// Number of console lines to show when a guest fails.
const CONSOLE_TAIL: usize = 40;

/// The extension of the file with qemu's own messages.
const MESSAGES: &str = "qemu";

/// The machine. It restarts on a panic and at the end of its job; with `-no-reboot` qemu exits in both cases.
const MACHINE: &str = "-machine pc -nodefaults -no-user-config -display none -nic none -no-reboot \
    -device virtio-serial-pci";

/// The kernel's command line, without the layout. Without the mitigations, which protect nothing here, an
/// emulated guest is faster. qemu caches translated code by virtual address: with randomized addresses, it
/// would translate all code again for each process, and starting a program would take five times as long.
/// With AppArmor on but no profiles, LXC starts nothing.
const CMDLINE: &str = "console=ttyS0 rw quiet panic=-1 psi=1 swapaccount=1 mitigations=off norandmaps \
    apparmor=0";

/// The files of one run.
pub(super) struct RunFiles<'a> {
    pub(super) job: &'a Path,
    pub(super) result: &'a Path,
    pub(super) console: &'a Path,
}

/// Boots with the job on a disk and a disk for its results, and prints the output of the job. Returns when
/// the guest has ended, with the number of bytes of the output that were printed.
pub(super) fn boot(
    vm: &Vm,
    files: &RunFiles,
    on_line: &mut (dyn FnMut(&str) + Send),
) -> Result<usize> {
    let root = vm.layout.root()?;
    let kernel = vm.layout.kernel().files()?;
    for _ in 0..ATTEMPTS {
        let accel = Accel::choose(&kernel);
        match attempt(vm, accel, &kernel, &root, files, on_line)? {
            (Ended::Well, printed) => return Ok(printed),
            (Ended::TooLate, _) => bail!("no end in time: the guest was stopped"),
            // The job has not started: it can be run again.
            (Ended::Failed { started: false }, _) if accel == Accel::Kvm => {
                Accel::give_up_kvm(&messages(files.console));
            }
            (Ended::Failed { .. }, _) => bail!("qemu: {}", messages(files.console)),
            (Ended::NeverStarted, _) if accel == Accel::Kvm => {
                Accel::give_up_kvm("it does not come up");
            }
            (Ended::NeverStarted, _) => run::say("vm: the guest does not come up: stopped"),
        }
    }
    bail!("the guest does not come up");
}

fn attempt(
    vm: &Vm,
    accel: Accel,
    kernel: &KernelFiles,
    root: &Path,
    files: &RunFiles,
    on_line: &mut (dyn FnMut(&str) + Send),
) -> Result<(Ended, usize)> {
    let mut child = qemu(vm, accel, kernel, root, files)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(files.console.with_extension(MESSAGES))?)
        .spawn()
        .context("running qemu-system-x86_64")?;
    let output = child.stdout.take();
    let log = run::log();
    let (ended, printed) = thread::scope(|scope| {
        let reader = output.map(|output| {
            scope.spawn(move || {
                run::log_to(log);
                run::tee(output, &vm.prefix, Tail::Leave, on_line)
            })
        });
        let ended = wait(&mut child, files.console, vm.timeout + GRACE);
        let printed = reader.and_then(|reader| reader.join().ok());
        (ended, printed.unwrap_or(0))
    });
    Ok((ended?, printed))
}

/// qemu's standard error, in a file beside the console's.
fn messages(console: &Path) -> String {
    fs::read_to_string(console.with_extension(MESSAGES)).unwrap_or_default()
}

fn qemu(vm: &Vm, accel: Accel, kernel: &KernelFiles, root: &Path, files: &RunFiles) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(MACHINE.split_whitespace())
        .args(accel.options().split_whitespace())
        .arg("-kernel")
        .arg(&kernel.vmlinuz)
        .arg("-initrd")
        .arg(&kernel.initrd);
    let mut option = |name: &str, value: &str| {
        command.args([name, value]);
    };
    option("-smp", &vm.cpus.to_string());
    option("-m", &format!("{}M", vm.memory_mib));
    option("-append", &format!("{CMDLINE} {}", vm.layout.cmdline()));
    // The guest names them vda, vdb, vdc, vdd in this order. Writes to the root disk go to a temporary file,
    // so that many guests can share one image.
    for (file, mode) in [
        (root, "snapshot=on,cache=unsafe"),
        (&kernel.modules, "readonly=on"),
        (files.job, "readonly=on"),
        (files.result, "cache=unsafe"),
    ] {
        option(
            "-drive",
            &format!("if=virtio,format=raw,{mode},file={}", escaped(file)),
        );
    }
    // Not qemu's "stdio": that closes the guest's port when standard input ends.
    option("-chardev", "file,id=output,path=/dev/stdout");
    option(
        "-device",
        "virtserialport,chardev=output,name=vistafs.output",
    );
    option(
        "-chardev",
        &format!("file,id=console,path={}", escaped(files.console)),
    );
    option("-serial", "chardev:console");
    command
}

/// A path in a qemu option, with commas doubled.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// How a run of qemu ended.
enum Ended {
    Well,
    NeverStarted,
    TooLate,
    /// qemu itself failed, before or after the guest started its job.
    Failed {
        started: bool,
    },
}

/// Waits for qemu's exit, or kills it at the limit.
fn wait(child: &mut Child, console: &Path, limit: Duration) -> Result<Ended> {
    let started = Instant::now();
    let mut alive = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(match status.success() {
                true => Ended::Well,
                false => Ended::Failed { started: alive },
            });
        }
        alive = alive || fs::read(console).is_ok_and(|log| contains(&log, STARTED));
        let ended = if !alive && started.elapsed() > BOOT_LIMIT {
            Ended::NeverStarted
        } else if started.elapsed() > limit {
            Ended::TooLate
        } else {
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        child.kill()?;
        child.wait()?;
        return Ok(ended);
    }
}

fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len())
        .any(|window| window == part.as_bytes())
}

/// Whether the guest's kernel died of a breakpoint that it had set temporarily to patch its own code: with
/// several threads the emulator may execute the old code after the patching.
pub(super) fn is_fault_of_emulator(console: &Path) -> bool {
    fs::read(console).is_ok_and(|log| contains(&log, "Oops: int3"))
}

/// The end of the console log, for a report.
pub(super) fn console_tail(console: &Path) -> String {
    let bytes = fs::read(console).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(CONSOLE_TAIL)..].join("\n")
}
