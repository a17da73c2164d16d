//! Running other programs: quietly, loudly, or loudly with a copy of what they print.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// The root of the workspace, wherever this program was called from.
pub(crate) fn workspace() -> PathBuf {
    // `cargo run` sets the variable; a binary that is called by its path has the path of its build.
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest
        .ancestors()
        .nth(2)
        .map_or_else(|| manifest.clone(), PathBuf::from)
}

/// A call of the cargo that called us, in the workspace.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.args(args).current_dir(workspace());
    command
}

/// Whether a program of that name can be run.
pub(crate) fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    // Administrators' programs are in no ordinary user's path, but run for them as well.
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .any(|dir| dir.join(program).is_file())
}

/// Whether we are root: the owner of our own process directory.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// Whether nobody looks at the output: there a missing prerequisite is a failure, not a skip.
pub(crate) fn is_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true")
}

/// Runs to the end; an error names the program and shows what it said.
pub(crate) fn quiet(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {program}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{program}: {}\n{stdout}{stderr}", output.status);
    }
    Ok(stdout)
}

/// Runs to the end and returns the standard output; errors are shown as they come.
pub(crate) fn stdout_of(command: &mut Command) -> Result<String> {
    announce(command);
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("running {program}"))?;
    if !output.status.success() {
        bail!("{program}: {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs to the end with our own output, and says first what is run.
pub(crate) fn loud(command: &mut Command) -> Result<ExitStatus> {
    announce(command);
    command
        .status()
        .with_context(|| format!("running {}", command.get_program().to_string_lossy()))
}

/// As [`loud`], and calls `line` for each line of the standard output before printing it.
pub(crate) fn teed(command: &mut Command, line: impl FnMut(&str)) -> Result<ExitStatus> {
    announce(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("running {}", command.get_program().to_string_lossy()))?;
    if let Some(stdout) = child.stdout.take() {
        tee(stdout, "", Tail::Print, line);
    }
    Ok(child.wait()?)
}

/// What to do with a last line that has no end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    Print,
    /// It may be torn, and all of it comes from elsewhere.
    Leave,
}

/// Prints what comes from `source` line by line behind `prefix`, and shows each line to `line`.
/// Returns the number of bytes that were printed.
pub(crate) fn tee(
    source: impl Read,
    prefix: &str,
    tail: Tail,
    mut line: impl FnMut(&str),
) -> usize {
    let mut printed = 0;
    let mut source = BufReader::new(source);
    let mut bytes = Vec::new();
    // A read error ends the output as its end does: the exit status says the rest.
    while let Ok(1..) = source.read_until(b'\n', &mut bytes) {
        if tail == Tail::Leave && !bytes.ends_with(b"\n") {
            break;
        }
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches(['\r', '\n']);
        line(text);
        println!("{prefix}{text}");
        printed += bytes.len();
        bytes.clear();
    }
    printed
}

fn announce(command: &Command) {
    let words: Vec<_> = command
        .get_args()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default();
    println!("+ {program} {}", words.join(" "));
}
