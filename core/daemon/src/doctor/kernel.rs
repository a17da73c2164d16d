//! Checks the kernel: its release, FUSE, pressure stall information; and whether the process is root.

use std::io::ErrorKind;
use std::path::Path;

use super::Finding;
use vistafs_supervisor::fuse_mount;

/// The other checks need root, too.
pub(super) fn user() -> Finding {
    if nix::unistd::geteuid().is_root() {
        Finding::good("user", "root")
    } else {
        Finding::broken(
            "user",
            "not root: vistafs cannot mount",
            "sudo vistafs doctor",
        )
    }
}

/// The oldest release with all system calls: openat2(2).
const OLDEST: (u32, u32) = (5, 6);
/// FUSE_NOTIFY_RESEND.
const RESENDS: (u32, u32) = (6, 9);

pub(super) fn release() -> Finding {
    let name = rustix::system::uname();
    release_of(&name.release().to_string_lossy())
}

fn release_of(release: &str) -> Finding {
    const ABOUT: &str = "kernel";
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next()?.parse::<u32>().ok();
    let Some(version) = number().zip(number()) else {
        return Finding::limited(
            ABOUT,
            format!("a release of unknown age: {release}"),
            "vistafs is tested on Linux 6.1 and later",
        );
    };
    if version < OLDEST {
        Finding::broken(
            ABOUT,
            format!("Linux {release} lacks calls that vistafs makes"),
            "Linux 5.6 or later; it is tested on 6.1 and later",
        )
    } else if version < RESENDS {
        Finding::limited(
            ABOUT,
            format!("Linux {release} does not send again what a dead server was asked"),
            "Linux 6.9 or later, if a reader must not see EINTR when vistafs is killed",
        )
    } else {
        Finding::good(ABOUT, format!("Linux {release}"))
    }
}

pub(super) fn fuse() -> Finding {
    const ABOUT: &str = "fuse";
    match fuse_mount::open_device() {
        Ok(_) => Finding::good(ABOUT, "/dev/fuse can be opened"),
        Err(failure) => Finding::broken(ABOUT, failure.found, failure.remedy),
    }
}

/// Pressure stall information.
pub(super) fn pressure(root: &Path) -> Finding {
    const ABOUT: &str = "pressure";
    match std::fs::read(root.join("proc/pressure/memory")) {
        Ok(_) => Finding::good(ABOUT, "the kernel measures it"),
        // The error of a kernel that was booted with psi=0.
        Err(error) if error.kind() == ErrorKind::Unsupported => Finding::limited(
            ABOUT,
            "switched off: proc/pressure has nothing to show",
            "boot with psi=1",
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => Finding::limited(
            ABOUT,
            "not in this kernel: there is no proc/pressure",
            "a kernel with CONFIG_PSI",
        ),
        Err(error) => Finding::limited(
            ABOUT,
            format!("cannot be read: {error}"),
            "run it as root, on the host",
        ),
    }
}

/// Leases on files, by which a container may delay others.
pub(super) fn leases(root: &Path) -> Finding {
    const ABOUT: &str = "leases";
    match std::fs::read_to_string(root.join("proc/sys/fs/leases-enable")) {
        Ok(text) if text.trim() == "0" => {
            Finding::good(ABOUT, "fs.leases-enable=0: no file can be leased")
        }
        Ok(_) => Finding::good(
            ABOUT,
            "fs.leases-enable=1: vistafs protects the files that containers share",
        ),
        Err(error) => Finding::limited(
            ABOUT,
            format!("cannot read fs.leases-enable: {error}"),
            "run it as root, on the host",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn releases_of_all_ages() {
        for (release, state) in [
            ("6.18.5", State::Good),
            ("6.9.0-rc1+", State::Good),
            ("7.0", State::Good),
            ("6.1.0-42-amd64", State::Limited),
            ("5.6-odd", State::Limited),
            ("5.5.19", State::Broken),
            ("4.18.0-553.el8.x86_64", State::Broken),
            ("unknown", State::Limited),
            ("99999999999999.1", State::Limited),
        ] {
            assert_eq!(release_of(release).state, state, "{release}");
        }
    }

    #[test]
    fn leases_that_are_on_or_off() {
        let tmp = tempfile::tempdir().unwrap();
        assert_eq!(leases(tmp.path()).state, State::Limited);
        let dir = tmp.path().join("proc/sys/fs");
        std::fs::create_dir_all(&dir).unwrap();
        for (text, found) in [("0\n", "no file"), ("1\n", "protects")] {
            std::fs::write(dir.join("leases-enable"), text).unwrap();
            let finding = leases(tmp.path());
            assert_eq!(finding.state, State::Good);
            assert!(finding.found.contains(found), "{finding:?}");
        }
    }

    #[test]
    fn pressure_that_is_not_there() {
        let tmp = tempfile::tempdir().unwrap();
        let found = pressure(tmp.path());
        assert_eq!(found.state, State::Limited);
        assert!(found.remedy.unwrap().contains("CONFIG_PSI"));
    }
}
