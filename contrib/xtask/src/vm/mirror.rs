//! The source of the guests' packages: the mirror of this machine's apt.
//!
//! The project contains no address, so a machine behind a local mirror or an archive snapshot builds its
//! images from there too.

use std::process::Command;

use anyhow::{Context, Result};

use crate::run;

/// The keys of Debian's archive, for this release and the next.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// This machine's Debian repositories, as apt knows them.
pub(super) struct Mirror {
    main: String,
    security: Option<String>,
}

impl Mirror {
    /// Reads this machine's Debian sources from apt.
    pub(super) fn of_this_machine() -> Result<Mirror> {
        let mut targets = debian_targets()?;
        if targets.is_empty() {
            // Before the first update, apt does not know which sources are Debian's.
            run::quiet(Command::new("apt-get").arg("update"))?;
            targets = debian_targets()?;
        }
        let uri_of = |security: bool| {
            let mut targets = targets.lines().filter_map(|line| line.split_once(' '));
            targets
                .find(|(label, _)| label.contains("Security") == security)
                .map(|(_, uri)| uri.to_string())
        };
        Ok(Mirror {
            main: uri_of(false).context("apt has no source of Debian here")?,
            security: uri_of(true),
        })
    }

    /// An mmdebstrap command for one release of Debian, without packages.
    pub(super) fn mmdebstrap(&self, release: &str, variant: &str, include: &str) -> Command {
        let mut command = Command::new("mmdebstrap");
        command
            .args(["--variant", variant, "--keyring", KEYRING])
            .arg(format!("--include={include}"));
        for option in inherited_options() {
            command.arg(format!("--aptopt={option}"));
        }
        // Documentation and locales: half of the files of a small system.
        for path in ["doc/*", "man/*", "locale/*", "info/*", "lintian/*"] {
            command.arg(format!("--dpkgopt=path-exclude=/usr/share/{path}"));
        }
        command.arg(release);
        command
    }

    /// The sources of that release, in the order of mmdebstrap's arguments after the target.
    pub(super) fn sources(&self, release: &str) -> Vec<String> {
        let mut sources = vec![format!("deb {} {release} main", self.main)];
        if let Some(security) = &self.security {
            sources.push(format!("deb {security} {release}-security main"));
        }
        sources
    }
}

/// A line with label and address for each part of Debian that this machine's apt uses. The label is "Debian"
/// or "Debian-Security"; the release does not matter, since a mirror has all of them.
fn debian_targets() -> Result<String> {
    run::quiet(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(LABEL) $(REPO_URI)",
        "Created-By: Packages",
        "Origin: Debian",
        "Component: main",
    ]))
}

/// apt options of this machine that its mirror may need: proxies, and whether release files expire (in an
/// archive snapshot they do not).
fn inherited_options() -> Vec<String> {
    let Ok(dump) = run::quiet(Command::new("apt-config").arg("dump")) else {
        return Vec::new();
    };
    dump.lines()
        .filter(|line| {
            [
                "Acquire::Check-",
                "Acquire::http::Proxy",
                "Acquire::https::Proxy",
                "Acquire::Retries",
            ]
            .iter()
            .any(|head| line.starts_with(head))
        })
        .map(|line| line.trim_end_matches(';').to_string())
        .collect()
}
