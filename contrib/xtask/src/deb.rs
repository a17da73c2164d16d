//! `cargo xtask deb`: the Debian packages.
//!
//! contrib/debian is the debian directory of a source package. It is copied together with the needed files of
//! the repository and the program, which cargo has built before, since Debian lacks some of the crates.
//! Errors and warnings of lintian fail the command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::plugins::{self, Profile};
use crate::program::{DAEMON, FAST_DAEMON};
use crate::run;
use crate::work_dir::WorkDir;

/// Builds the Debian packages into target/deb.
#[derive(Args)]
pub(crate) struct DebArgs {
    /// Which build of this version it is.
    #[arg(long, default_value_t = 1)]
    revision: u32,
    /// The program as developers run it, which is built faster.
    #[arg(long)]
    debug: bool,
    /// Where the packages go.
    #[arg(long)]
    out: Option<PathBuf>,
}

impl DebArgs {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let (program, profile) = if self.debug {
            (DAEMON, Profile::Dev)
        } else {
            (FAST_DAEMON, Profile::Release)
        };
        let default = || run::workspace().join("target/deb");
        let out = self.out.unwrap_or_else(default);
        let packages = build(&program.build()?, profile, self.revision, &out)?;
        judge(&packages)?;
        for package in packages {
            println!("{}", package.display());
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Files and directories that the source package takes from the repository, if they exist.
const TAKEN: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "contrib",
    "plugins/abi/include",
    "plugins/examples",
];

/// Builds the packages of a program, with example plugins of that profile; their paths.
pub(crate) fn build(
    program: &Path,
    profile: Profile,
    revision: u32,
    out: &Path,
) -> Result<Vec<PathBuf>> {
    if !run::is_there("dh") || !run::is_there("dpkg-buildpackage") {
        bail!("no debhelper (apt-get install debhelper)");
    }
    let work = WorkDir::new()?;
    let tree = work.path.join("vistafs");
    fs::create_dir(&tree)?;
    for part in TAKEN {
        let from = run::workspace().join(part);
        if !from.exists() {
            continue;
        }
        let to = tree.join(part);
        fs::create_dir_all(to.parent().context("a part without a directory")?)?;
        run::quiet(Command::new("cp").arg("-rL").args([from, to]))?;
    }
    fs::copy(program, tree.join("vistafs")).context("copying the program")?;
    run::quiet(Command::new("mv").args([tree.join("contrib/debian"), tree.join("debian")]))?;
    units(&tree)?;
    examples(&tree, profile)?;
    version(&tree, revision)?;
    let mut command = Command::new("dpkg-buildpackage");
    command
        .args(["-b", "-us", "-uc", "--jobs=auto"])
        .current_dir(&tree)
        // Line tables of developer builds would become a separate package.
        .env("DEB_BUILD_OPTIONS", "noautodbgsym")
        .env_remove("CARGO_MANIFEST_DIR");
    run::quiet(&mut command)?;
    fs::create_dir_all(out)?;
    let mut packages = Vec::new();
    for entry in fs::read_dir(&work.path)? {
        let path = entry?.path();
        let is_ours = path
            .extension()
            .is_some_and(|ext| ext == "deb" || ext == "changes");
        if let Some(name) = path.file_name().filter(|_| is_ours) {
            fs::copy(&path, out.join(name))?;
            packages.push(out.join(name));
        }
    }
    packages.sort();
    work.remove();
    Ok(packages)
}

/// debhelper expects units and tmpfiles under the names of the packages.
fn units(tree: &Path) -> Result<()> {
    for (from, to) in [
        ("systemd/vistafs.service", "vistafs.service"),
        ("systemd/lxcfs.service", "vistafs-lxcfs.lxcfs.service"),
        ("tmpfiles/vistafs.conf", "vistafs.tmpfiles"),
    ] {
        fs::copy(
            tree.join("contrib").join(from),
            tree.join("debian").join(to),
        )
        .with_context(|| format!("copying contrib/{from}"))?;
    }
    Ok(())
}

/// The example plugins, where contrib/debian/rules looks for them.
fn examples(tree: &Path, profile: Profile) -> Result<()> {
    let built = tree.join("plugins/built");
    fs::create_dir_all(&built)?;
    for object in plugins::examples(profile)? {
        let name = object.file_name().context("a file without a name")?;
        fs::copy(&object, built.join(name))?;
    }
    Ok(())
}

/// A later build of the same version gets its own changelog entry.
fn version(tree: &Path, revision: u32) -> Result<()> {
    let path = tree.join("debian/changelog");
    let text = fs::read_to_string(&path)?;
    let ours = format!("vistafs ({}-1)", env!("CARGO_PKG_VERSION"));
    if !text.starts_with(&ours) {
        bail!("contrib/debian/changelog does not begin with {ours}");
    }
    if revision > 1 {
        const NOON: &str = " 12:00:00 ";
        let author = text
            .lines()
            .find(|line| line.starts_with(" -- ") && line.contains(NOON));
        let author = author.context("contrib/debian/changelog has no author at noon")?;
        // Each a minute later than its predecessor, and independent of the build time.
        let (hours, minutes) = (12 + revision / 60, revision % 60);
        let author = author.replace(NOON, &format!(" {hours:02}:{minutes:02}:00 "));
        let head = ours.replace("-1)", &format!("-{revision})"));
        let entry =
            format!("{head} unstable; urgency=medium\n\n  * Build {revision}.\n\n{author}\n\n");
        fs::write(&path, entry + &text)?;
    }
    Ok(())
}

/// Fails on any finding of lintian.
fn judge(packages: &[PathBuf]) -> Result<()> {
    if !run::is_there("lintian") {
        println!("no lintian (apt-get install lintian): the packages are not judged");
        return Ok(());
    }
    let debs = packages
        .iter()
        .filter(|path| path.extension().is_some_and(|ext| ext == "deb"));
    let mut command = Command::new("lintian");
    command
        .args([
            "--allow-root",
            "--fail-on=error,warning",
            "--tag-display-limit=0",
        ])
        .args(debs);
    if !run::loud(&mut command)?.success() {
        bail!("lintian is not content");
    }
    Ok(())
}
