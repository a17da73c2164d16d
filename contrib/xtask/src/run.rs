//! Runs other programs: quietly, loudly, or loudly with a copy of their output.
//!
//! The output goes to the log of the suite that this thread runs, else to the standard output.

use std::cell::RefCell;
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};

/// The log of a suite, and its progress.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    path: Arc<PathBuf>,
    file: Arc<File>,
    progress: Arc<Mutex<String>>,
}

impl Log {
    pub(crate) fn create(path: PathBuf) -> std::io::Result<Log> {
        Ok(Log {
            file: Arc::new(File::create(&path)?),
            path: Arc::new(path),
            progress: Arc::default(),
        })
    }

    /// Copies a report of the tests beside the log, with the extension `xml`.
    pub(crate) fn keep_report(&self, report: &Path) -> std::io::Result<()> {
        std::fs::copy(report, self.path.with_extension("xml")).map(drop)
    }

    /// The last line passed to [`progress`].
    pub(crate) fn progress(&self) -> String {
        self.progress
            .lock()
            .map_or_else(|_| String::new(), |text| text.clone())
    }

    fn stdio(&self) -> Option<Stdio> {
        self.file.try_clone().ok().map(Stdio::from)
    }
}

thread_local! {
    static LOG: RefCell<Option<Log>> = const { RefCell::new(None) };
}

/// Sends the output of this thread and of its programs to a log.
pub(crate) fn log_to(log: Option<Log>) {
    LOG.set(log);
}

/// The log of this thread, for a helper thread.
pub(crate) fn log() -> Option<Log> {
    LOG.with_borrow(Clone::clone)
}

/// Prints a line to the log of this thread.
pub(crate) fn say(line: &str) {
    match log() {
        // The log is informative; failures to write it do not matter.
        Some(log) => drop(writeln!(&*log.file, "{line}")),
        None => println!("{line}"),
    }
}

/// Prints a line and shows it as the progress of the suite.
pub(crate) fn progress(line: &str) {
    set_progress(line);
    say(line);
}

/// Sets the progress of the suite.
pub(crate) fn set_progress(text: &str) {
    if let Some(log) = log()
        && let Ok(mut progress) = log.progress.lock()
    {
        text.clone_into(&mut progress);
    }
}

/// The root of the workspace, independent of the working directory.
pub(crate) fn workspace() -> PathBuf {
    // `cargo run` sets the variable; a binary that is run by its path uses the path of its build.
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest
        .ancestors()
        .nth(2)
        .map_or_else(|| manifest.clone(), PathBuf::from)
}

/// The cargo that runs this program, in the workspace.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.args(args).current_dir(workspace());
    command
}

/// Whether a program of that name exists.
pub(crate) fn is_there(program: &str) -> bool {
    find(program).is_some()
}

/// The path of a program.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Ordinary users can run programs of the sbin directories, although these are not in their PATH.
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

/// Whether this process is root: the owner of its own process directory.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// Whether this runs in CI, where a missing prerequisite is a failure, not a skip.
pub(crate) fn is_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true")
}

/// Runs to the end; an error names the program and includes its output.
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

/// Runs to the end and returns the standard output; errors are shown immediately.
pub(crate) fn stdout_of(command: &mut Command) -> Result<String> {
    announce(command);
    let program = command.get_program().to_string_lossy().into_owned();
    log_stderr(command);
    let output = command
        .stdout(Stdio::piped())
        .spawn()
        .and_then(Child::wait_with_output)
        .with_context(|| format!("running {program}"))?;
    if !output.status.success() {
        bail!("{program}: {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Prints the command, and runs it to the end with our own output.
pub(crate) fn loud(command: &mut Command) -> Result<ExitStatus> {
    announce(command);
    if let Some(stdout) = log().and_then(|log| log.stdio()) {
        command.stdout(stdout);
    }
    log_stderr(command);
    command
        .status()
        .with_context(|| format!("running {}", command.get_program().to_string_lossy()))
}

/// Like [`loud`], and calls `line` for each line of the standard error output before printing it.
pub(crate) fn teed_stderr(command: &mut Command, line: impl FnMut(&str)) -> Result<ExitStatus> {
    announce(command);
    if let Some(stdout) = log().and_then(|log| log.stdio()) {
        command.stdout(stdout);
    }
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("running {}", command.get_program().to_string_lossy()))?;
    if let Some(stderr) = child.stderr.take() {
        tee(stderr, "", Tail::Print, line);
    }
    Ok(child.wait()?)
}

/// How to handle a last line without a newline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    Print,
    /// It may be incomplete, and all of it is available elsewhere.
    Leave,
}

/// Prints the output of `source` line by line after `prefix`, and passes each line to `line`. Returns the
/// number of bytes that were printed.
pub(crate) fn tee(
    source: impl Read,
    prefix: &str,
    tail: Tail,
    mut line: impl FnMut(&str),
) -> usize {
    let mut printed = 0;
    let mut source = BufReader::new(source);
    let mut bytes = Vec::new();
    // A read error ends the output like its end: the exit status reports the failure.
    while let Ok(1..) = source.read_until(b'\n', &mut bytes) {
        if tail == Tail::Leave && !bytes.ends_with(b"\n") {
            break;
        }
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches(['\r', '\n']);
        line(text);
        say(&format!("{prefix}{text}"));
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
    say(&format!("+ {program} {}", words.join(" ")));
}

fn log_stderr(command: &mut Command) {
    let stderr = log().and_then(|log| log.stdio());
    command.stderr(stderr.unwrap_or_else(Stdio::inherit));
}
