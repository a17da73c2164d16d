//! The input and output of a guest: each a tar on a disk.
//!
//! A tar needs no file system on either side, so nothing has to be mounted or unmounted here, and its end
//! marker shows whether it is complete.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Job;
use crate::run;

/// Larger than any result.
const RESULT_SIZE: u64 = 1 << 30;

/// Writes the job's tar below `work` in the form that guest/job.py reads.
pub(super) fn pack(job: &Job, timeout_seconds: u64, work: &Path) -> Result<PathBuf> {
    let dir = work.join("job");
    fs::create_dir_all(dir.join("put"))?;
    fs::write(dir.join("command"), &job.command)?;
    fs::write(dir.join("timeout"), timeout_seconds.to_string())?;
    let mut list = String::new();
    for (number, (from, to)) in job.put.iter().enumerate() {
        if !to.is_absolute() {
            bail!("{}: a path in the guest must be absolute", to.display());
        }
        let copy = dir.join("put").join(number.to_string());
        run::quiet(Command::new("cp").arg("-a").arg("-H").args([from, &copy]))?;
        list.push_str(&format!("{number} {}\n", to.display()));
    }
    fs::write(dir.join("put.list"), list)?;
    let wanted: String = job
        .get
        .iter()
        .map(|(from, _)| format!("{}\n", from.display()))
        .collect();
    fs::write(dir.join("get.list"), wanted)?;
    let tar = work.join("job.tar");
    run::quiet(
        Command::new("tar")
            .arg("-cf")
            .arg(&tar)
            .arg("-C")
            .arg(&dir)
            .arg("."),
    )?;
    Ok(tar)
}

/// Makes the disk for the results. The file is sparse.
pub(super) fn result_disk(work: &Path) -> Result<PathBuf> {
    let path = work.join("result.tar");
    File::create_new(&path)?.set_len(RESULT_SIZE)?;
    Ok(path)
}

/// The results of a guest.
pub(super) struct Results {
    /// Exit status of the command.
    pub(super) status: i32,
    /// A file with its whole output.
    pub(super) output: PathBuf,
}

/// Copies the files to their targets; `None` if the guest ended before its job did.
pub(super) fn unpack(job: &Job, tar: &Path, work: &Path) -> Result<Option<Results>> {
    // A guest that panicked has written nothing.
    let mut first = [0];
    File::open(tar)?.read_exact(&mut first)?;
    if first == [0] {
        return Ok(None);
    }
    let dir = work.join("result");
    fs::create_dir_all(&dir)?;
    run::quiet(Command::new("tar").arg("-xf").arg(tar).arg("-C").arg(&dir))
        .context("the results of the guest")?;
    for (number, (from, to)) in job.get.iter().enumerate() {
        let copy = dir.join("get").join(number.to_string());
        if !copy.exists() {
            run::say(&format!("vm: the guest has no {}", from.display()));
            continue;
        }
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        run::quiet(Command::new("cp").args(["-a", "-T"]).args([&copy, to]))?;
    }
    let status = fs::read_to_string(dir.join("status"))?;
    Ok(Some(Results {
        status: status
            .trim()
            .parse()
            .context("the exit status of the command")?,
        output: dir.join("output"),
    }))
}
