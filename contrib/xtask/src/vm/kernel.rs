//! The guests' kernels: Debian's, with a custom initrd and their modules on a disk.
//!
//! The packages are only extracted, not installed: their scripts would build an initrd that searches for
//! disks of all kinds, which takes longer at each boot than everything else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::image::ext4;
use super::mirror::Mirror;
use super::{cache, progress};
use crate::run;

/// The kernel, and the only program of its initrd.
const PACKAGES: &str = "linux-image-cloud-amd64,busybox-static";
const INIT: &str = include_str!("guest/init.sh");

/// Modules that must be loaded before the root file system can be mounted.
const BOOT_MODULES: &[&str] = &["virtio_pci", "virtio_blk", "ext4"];

/// Size of the disk for the uncompressed modules of one kernel.
const MODULES_SIZE: &str = "256M";

#[derive(Clone, Copy, Debug)]
pub(super) enum Kernel {
    /// 6.1: v1 and v2.
    Debian12,
    /// 6.12: v2 only. Built for the next release, it also runs with Debian 12.
    Debian13,
}

/// The files that qemu boots.
pub(super) struct KernelFiles {
    pub(super) vmlinuz: PathBuf,
    pub(super) initrd: PathBuf,
    pub(super) modules: PathBuf,
}

impl Kernel {
    fn release(self) -> &'static str {
        match self {
            Kernel::Debian12 => "bookworm",
            Kernel::Debian13 => "trixie",
        }
    }

    /// Returns the files, built if they do not exist.
    pub(super) fn files(self) -> Result<KernelFiles> {
        let release = self.release();
        let modules = BOOT_MODULES.join(" ");
        let recipe = [release, PACKAGES, INIT, &modules, MODULES_SIZE];
        let dir = cache::built(&format!("kernel-{release}"), &recipe, |work| {
            build(self, work)
        })?;
        Ok(KernelFiles {
            vmlinuz: dir.join("vmlinuz"),
            initrd: dir.join("initrd"),
            modules: dir.join("modules.ext4"),
        })
    }
}

fn build(kernel: Kernel, work: &Path) -> Result<()> {
    let release = kernel.release();
    let tree = work.join("tree");
    let mirror = Mirror::of_this_machine()?;
    let name = format!("kernel-{release}");
    progress::follow(
        &name,
        Instant::now(),
        mirror
            .mmdebstrap(release, "extract", PACKAGES)
            .arg(&tree)
            .args(mirror.sources(release)),
    )?;
    let vmlinuz = only_entry(&tree.join("boot"), "vmlinuz-")?;
    fs::rename(&vmlinuz, work.join("vmlinuz"))?;

    // Depending on the release, /lib is a link to usr/lib or a directory; so is /bin.
    let modules = first_of(&tree, &["usr/lib/modules", "lib/modules"])?;
    // depmod requires its directory to end in lib/modules.
    let base = work.join("base");
    let of_version = prepare_modules(&modules, &base)?;
    initrd(&of_version, &tree, &work.join("initrd"))?;
    ext4(
        &base.join("lib/modules"),
        &work.join("modules.ext4"),
        MODULES_SIZE,
    )?;
    for dir in [tree, base] {
        fs::remove_dir_all(dir)?;
    }
    Ok(())
}

/// Moves the modules below `base` and makes them loadable; returns the directory of the version.
fn prepare_modules(modules: &Path, base: &Path) -> Result<PathBuf> {
    fs::create_dir_all(base.join("lib"))?;
    fs::rename(modules, base.join("lib/modules"))?;
    let dir = only_entry(&base.join("lib/modules"), "")?;
    let version = dir.file_name().context("no kernel version")?;
    // Uncompressed, for busybox's insmod, and to spare the slow guest the unpacking.
    run::quiet(Command::new("find").arg(&dir).args([
        "-name",
        "*.ko.xz",
        "-exec",
        "xz",
        "--decompress",
        "{}",
        "+",
    ]))?;
    run::quiet(
        Command::new("/sbin/depmod")
            .arg("-b")
            .arg(base)
            .arg(version),
    )?;
    Ok(dir)
}

/// An initrd of busybox, the boot modules in loading order, and guest/init.sh.
fn initrd(modules: &Path, scratch: &Path, initrd: &Path) -> Result<()> {
    let root = scratch.join("initrd");
    for dir in ["bin", "dev", "modules", "proc", "root"] {
        fs::create_dir_all(root.join(dir))?;
    }
    let busybox = first_of(scratch, &["usr/bin/busybox", "bin/busybox"])?;
    fs::copy(&busybox, root.join("bin/busybox"))?;
    let init = root.join("init");
    fs::write(&init, INIT)?;
    fs::set_permissions(&init, fs::metadata(&busybox)?.permissions())?;

    let dep = fs::read_to_string(modules.join("modules.dep"))?;
    let mut order = Vec::new();
    for path in load_order(&dep, BOOT_MODULES) {
        let name = path.rsplit('/').next().unwrap_or(path);
        fs::copy(modules.join(path), root.join("modules").join(name))?;
        order.push(name);
    }
    fs::write(root.join("modules.order"), order.join("\n"))?;

    let status = Command::new("sh")
        .args([
            "-c",
            "find . | cpio --quiet --create --format=newc --owner=0:0 >\"$0\"",
        ])
        .arg(initrd)
        .current_dir(&root)
        .stdin(Stdio::null())
        .status()?;
    if !status.success() {
        bail!("cpio: {status}");
    }
    Ok(())
}

/// The modules with these names and their dependencies, dependencies first. A missing name is built into the
/// kernel.
fn load_order<'a>(modules_dep: &'a str, names: &[&str]) -> Vec<&'a str> {
    let mut order = Vec::new();
    for name in names {
        let file = format!("/{name}.ko");
        let line = modules_dep
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(path, _)| path.ends_with(&file));
        let Some((path, needs)) = line else { continue };
        // modules.dep lists all dependencies of a module, the deepest last.
        for needed in needs.split_whitespace().rev().chain([path]) {
            if !order.contains(&needed) {
                order.push(needed);
            }
        }
    }
    order
}

fn first_of(tree: &Path, paths: &[&str]) -> Result<PathBuf> {
    paths
        .iter()
        .map(|path| tree.join(path))
        .find(|path| path.exists())
        .with_context(|| format!("none of {paths:?} in the packages"))
}

fn only_entry(dir: &Path, prefix: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            return Ok(entry.path());
        }
    }
    bail!("{}: nothing that begins with {prefix:?}", dir.display())
}

#[cfg(test)]
mod tests {
    use super::load_order;

    #[test]
    fn what_is_needed_is_loaded_first_and_once() {
        let dep = "kernel/a/blk.ko: kernel/a/virtio.ko kernel/a/ring.ko\n\
                   kernel/a/pci.ko: kernel/a/virtio.ko kernel/a/ring.ko\n\
                   kernel/a/virtio.ko: kernel/a/ring.ko\n\
                   kernel/a/ring.ko:\n";
        assert_eq!(
            load_order(dep, &["blk", "built_in", "pci"]),
            [
                "kernel/a/ring.ko",
                "kernel/a/virtio.ko",
                "kernel/a/blk.ko",
                "kernel/a/pci.ko"
            ]
        );
    }
}
