//! Installs missing Debian packages without which tests would be skipped.
//!
//! Excludes packages that any machine needs to compile this program.

use std::process::Command;

use anyhow::{Result, bail};

use crate::outcome::Outcome;
use crate::run;

/// Used by the tests on this machine.
const FOR_TESTS: &[&str] = &[
    "busybox-static",
    "fuse3",
    "hwloc-nox",
    "libjemalloc2",
    "lxc",
    "lxcfs",
    "musl-tools",
    "nodejs",
    "numactl",
    "openjdk-17-jre-headless",
    "podman",
    "procps",
    "python3-minimal",
    "python3-venv",
    "runc",
    "sysstat",
    "systemd-container",
    "util-linux",
];

/// Packages of that list that some releases of Debian lack.
const NOT_EVERYWHERE: &[&str] = &["openjdk-17-jre-headless"];

/// Used to build and boot virtual machines.
const FOR_VMS: &[&str] = &[
    "cpio",
    "debhelper",
    "debian-archive-keyring",
    "e2fsprogs",
    "kmod",
    "mmdebstrap",
    "qemu-system-x86",
    "xz-utils",
];

/// Installs the missing packages, if permitted.
pub(crate) fn install(for_vms: bool) -> Result<Outcome> {
    let mut missing: Vec<&str> = FOR_TESTS.to_vec();
    if for_vms {
        missing.extend(FOR_VMS);
    }
    missing.retain(|package| installed_version(package).is_none());
    if missing.is_empty() {
        run::say("all packages are there");
        return Ok(Outcome::nothing());
    }
    let missing_names = missing.join(" ");
    if !run::is_root() {
        return Ok(Outcome::missing(format!(
            "not root, so not installed: {missing_names}"
        )));
    }
    match apt_install(&missing) {
        Ok(()) => Ok(Outcome::nothing()),
        Err(error) => Ok(Outcome::missing(format!(
            "not installed: {missing_names}: {error:#}"
        ))),
    }
}

fn apt_install(packages: &[&str]) -> Result<()> {
    apt_get(&["update"])?;
    let can_be_had = |package: &&&str| {
        !NOT_EVERYWHERE.contains(package)
            || candidate_version(package).is_some_and(|version| version != "(none)")
    };
    // Never removes packages that were installed for another purpose.
    let mut install = vec!["install", "--yes", "--no-install-recommends", "--no-remove"];
    install.extend(packages.iter().filter(can_be_had));
    let Err(error) = apt_get(&install) else {
        return Ok(());
    };
    // qemu's packages of different versions conflict, and a machine may have qemu-utils from a newer suite
    // than the available qemu-system-x86.
    let (Some(wanted), Some(present)) = (
        candidate_version("qemu-system-x86"),
        installed_version("qemu-utils"),
    ) else {
        return Err(error);
    };
    if !packages.contains(&"qemu-system-x86") || wanted == present {
        return Err(error);
    }
    run::say(&format!(
        "qemu-utils {present} is in the way of qemu-system-x86: changing it to {wanted}"
    ));
    let qemu_utils = format!("qemu-utils={wanted}");
    install.extend(["--allow-downgrades", &qemu_utils]);
    apt_get(&install)
}

fn apt_get(args: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    let status = run::loud(&mut command)?;
    if !status.success() {
        bail!("apt-get {}: {status}", args[0]);
    }
    Ok(())
}

/// The version of an installed package.
fn installed_version(package: &str) -> Option<String> {
    let format = "--showformat=${db:Status-Status} ${Version}";
    let text = run::quiet(Command::new("dpkg-query").args(["--show", format, package])).ok()?;
    text.strip_prefix("installed ").map(String::from)
}

/// The version that apt would install.
fn candidate_version(package: &str) -> Option<String> {
    let text = run::quiet(Command::new("apt-cache").args(["policy", package])).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    Some(line.to_string())
}
