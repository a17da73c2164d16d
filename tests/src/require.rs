//! Saying aloud that a test cannot run here.
//!
//! A test asks with [`crate::require!`]; without the thing it prints why, notes it in the
//! file that `VISTAFS_SKIP_LOG` names, so that skips are counted, and returns. With
//! `VISTAFS_REQUIRE=1` (CI) it fails instead.

use std::io::Write;

/// Ends the test, counted as skipped, unless the condition holds.
#[macro_export]
macro_rules! require {
    ($condition:expr, $($reason:tt)+) => {
        if !$condition {
            $crate::require::skip(module_path!(), &format!($($reason)+));
            return;
        }
    };
}

/// Notes a skip, or fails where nothing may be skipped.
pub fn skip(test: &str, reason: &str) {
    let thread = std::thread::current();
    // nextest gives the name; libtest names the thread.
    let name = std::env::var("NEXTEST_TEST_NAME").ok();
    let test = name.as_deref().or(thread.name()).unwrap_or(test);
    assert!(
        std::env::var_os("VISTAFS_REQUIRE").is_none_or(|v| v != "1"),
        "{test} cannot run here: {reason}"
    );
    println!("skipped: {test}: {reason}");
    if let Some(log) = std::env::var_os("VISTAFS_SKIP_LOG") {
        let file = std::fs::File::options().append(true).create(true).open(log);
        file.and_then(|mut f| writeln!(f, "{test}: {reason}"))
            .unwrap();
    }
}

/// Whether mounting and cgroups can be had: root and /dev/fuse.
#[must_use]
pub fn privileged() -> bool {
    nix::unistd::geteuid().is_root() && std::path::Path::new("/dev/fuse").exists()
}

/// Whether this is a virtual machine of `cargo xtask test`, whose settings may be changed.
#[must_use]
pub fn guest() -> bool {
    privileged() && std::env::var_os("VISTAFS_LAYOUT").is_some()
}

/// Whether the kernel sends again what a dead worker had read (Linux 6.9).
#[must_use]
pub fn resends() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next().unwrap().parse::<u32>().unwrap();
    (number(), number()) >= (6, 9)
}

/// Number of rounds of a long test; a tenth on an emulated processor.
#[must_use]
pub fn rounds(native: u32) -> u32 {
    if guest() { native / 10 } else { native }
}

/// Whether a program is on the path.
#[must_use]
pub fn program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
}

/// Ends the test unless mounting and cgroups can be had.
#[macro_export]
macro_rules! require_privileged {
    () => {
        $crate::require!(
            $crate::require::privileged(),
            "needs root and /dev/fuse (run the tests as root, load the fuse module)"
        );
    };
}

/// Ends the test unless the machine is one whose settings may be changed.
#[macro_export]
macro_rules! require_guest {
    () => {
        $crate::require!(
            $crate::require::guest(),
            "changes the machine that it runs on (cargo xtask test --only vm)"
        );
    };
}
