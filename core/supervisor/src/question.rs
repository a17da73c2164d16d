//! The questions that commands send to the control socket, and its path.

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use siphasher::sip::SipHasher13;

use crate::fuse_mount::without_asking;

/// The directory of the sockets.
const DIRECTORY: &str = "/run/vistafs";
/// Longer names are hashed: the path of a socket has at most 107 bytes.
const LONGEST: usize = 80;

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Question {
    /// Requests the status.
    Status,
    /// Replaces the running program by the installed one.
    Upgrade,
    /// Reloads the configuration.
    Reload,
    /// Hands the mount over to the client: `succession.rs`.
    HandOver,
    /// Enables a disabled view again.
    Restore {
        /// The name of the view.
        view: String,
    },
    /// A question of a later version.
    #[serde(other)]
    Unknown,
}

/// Returns the socket of the mount at a path without symbolic links. Different paths have different sockets.
pub(crate) fn socket_path(mount_point: &Path) -> PathBuf {
    let bytes = mount_point.as_os_str().as_bytes();
    let mut name = String::new();
    // Escaped as systemd escapes paths in unit names, which admins know.
    for byte in bytes.strip_prefix(b"/").unwrap_or(bytes) {
        match byte {
            b'/' => name.push('-'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' => name.push(char::from(*byte)),
            // Writing to a String cannot fail.
            other => {
                let _ = write!(name, "\\x{other:02x}");
            }
        }
    }
    if name.len() > LONGEST {
        let mut hasher = SipHasher13::new();
        bytes.hash(&mut hasher);
        name = format!("{:016x}", hasher.finish());
    }
    Path::new(DIRECTORY).join(format!("{name}.sock"))
}

/// Sends a question to the supervisor of a mount, and waits for the answer.
pub fn ask(mount_point: &Path, question: &Question) -> anyhow::Result<Value> {
    let shown = mount_point.display();
    let path = without_asking(mount_point)?;
    let socket = socket_path(&path);
    let mut stream = match UnixStream::connect(&socket) {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused
            ) =>
        {
            bail!(
                "vistafs does not run for {shown} (start it: vistafs mount {shown}; or name the mount: --mount DIR)"
            )
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            bail!("only root may ask the vistafs of {shown} (run it with sudo)")
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot connect to {}", socket.display()));
        }
    };
    let line = serde_json::to_string(question)? + "\n";
    stream
        .write_all(line.as_bytes())
        .and_then(|()| stream.flush())
        .context("cannot ask the supervisor")?;
    let mut answer = String::new();
    BufReader::new(stream)
        .read_line(&mut answer)
        .context("the supervisor does not answer")?;
    if answer.is_empty() {
        bail!(
            "the supervisor of {shown} exited without an answer (see its log: journalctl -u vistafs)"
        );
    }
    let answer: Value =
        serde_json::from_str(&answer).context("the supervisor's answer is not understood (is it of another version? vistafs upgrade exchanges it)")?;
    match answer.get("error").and_then(Value::as_str) {
        Some(why) => bail!("{why}"),
        None => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_named_after_the_mount_point() {
        let name = |path: &str| socket_path(Path::new(path)).to_str().unwrap().to_owned();
        assert_eq!(
            name("/var/lib/vistafs"),
            "/run/vistafs/var-lib-vistafs.sock"
        );
        assert_eq!(name("/a-b/c"), "/run/vistafs/a\\x2db-c.sock");
        assert_ne!(name("/a-b/c"), name("/a/b/c"));
        let (long, other) = (
            format!("/{}", "x".repeat(300)),
            format!("/{}", "x".repeat(301)),
        );
        assert!(name(&long).len() < 107);
        assert_ne!(name(&long), name(&other));
    }
}
