//! Parses the relevant part of the command line of runc and crun: command, bundle, log.
//!
//! Unknown arguments are passed through. Options whose value is a separate argument must be known, because
//! the value would be taken for a command.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

/// Options before the command whose value is the next argument.
const GLOBAL: [&str; 7] = [
    "cgroup-manager",
    "criu",
    "log",
    "log-format",
    "log-level",
    "root",
    "rootless",
];

/// Options of `create` and `run` whose value is the next argument.
const OF_CREATE: [&str; 9] = [
    "b",
    "bundle",
    "config",
    "console-socket",
    "f",
    "pid-file",
    "pidfd-socket",
    "preserve-fds",
    "root",
];

/// The parsed arguments.
#[derive(Debug, Default)]
pub(super) struct Words {
    command: Option<String>,
    bundle: Option<OsString>,
    /// The index of the argument with the bundle, and whether it contains the option as well.
    bundle_at: Option<(usize, bool)>,
    command_at: usize,
    config: Option<OsString>,
    log: Option<OsString>,
    logs_json: bool,
}

impl Words {
    pub(super) fn parse(words: &[OsString]) -> Self {
        let mut found = Self::default();
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let known: &[&str] = match found.command {
                None => &GLOBAL,
                Some(_) => &OF_CREATE,
            };
            let Some((name, value)) = option(word) else {
                // The second argument without a dash is the container.
                if found.command.is_some() {
                    break;
                }
                found.command = Some(word.to_string_lossy().into_owned());
                found.command_at = at;
                at += 1;
                continue;
            };
            if name.is_empty() {
                // After `--` there are no options.
                break;
            }
            let (value, value_at) = match value {
                Some(value) => (Some(value), at),
                None if known.contains(&&*name) => {
                    at += 1;
                    (words.get(at).cloned(), at)
                }
                None => (None, at),
            };
            found.note(&name, value, value_at, words.get(value_at) == Some(word));
            at += 1;
        }
        found
    }

    fn note(&mut self, name: &str, value: Option<OsString>, at: usize, is_joined: bool) {
        match (name, self.command.is_some()) {
            ("log", false) => self.log = value.filter(|value| !value.is_empty()),
            ("log-format", false) => self.logs_json = value.is_some_and(|value| value == "json"),
            ("b" | "bundle", true) => {
                self.bundle_at = Some((at, is_joined));
                self.bundle = value;
            }
            ("f" | "config", true) => self.config = value,
            _ => {}
        }
    }

    /// Returns whether the command creates a container.
    pub(super) fn creates(&self) -> bool {
        matches!(self.command.as_deref(), Some("create" | "run"))
    }

    /// Returns the directory of the bundle, if it is given.
    pub(super) fn bundle(&self) -> Option<&Path> {
        self.bundle.as_deref().map(Path::new)
    }

    /// Returns another file than the bundle's config.json: an option of crun.
    pub(super) fn config(&self) -> Option<&Path> {
        self.config.as_deref().map(Path::new)
    }

    /// Returns the runtime's log.
    pub(super) fn log(&self) -> Option<&Path> {
        self.log.as_deref().map(Path::new)
    }

    /// Returns whether the lines of the log are JSON objects.
    pub(super) fn logs_json(&self) -> bool {
        self.logs_json
    }

    /// Returns the arguments with another bundle.
    pub(super) fn with_bundle(&self, words: &[OsString], bundle: &Path) -> Vec<OsString> {
        let mut words = words.to_vec();
        match self.bundle_at {
            Some((at, is_joined)) => {
                if let Some(word) = words.get_mut(at) {
                    let mut new = OsString::new();
                    if is_joined {
                        new.push("--bundle=");
                    }
                    new.push(bundle);
                    *word = new;
                }
            }
            None => {
                let at = self.command_at + 1;
                words.splice(at..at, ["--bundle".into(), bundle.into()]);
            }
        }
        words
    }
}

/// Returns the name of an option, and its value if that is in the same argument. runc accepts one dash or two.
fn option(word: &OsStr) -> Option<(String, Option<OsString>)> {
    let bytes = word.as_bytes();
    let rest = bytes.strip_prefix(b"-")?;
    let rest = rest.strip_prefix(b"-").unwrap_or(rest);
    let equals = rest.iter().position(|byte| *byte == b'=');
    let (name, value) = match equals {
        Some(at) => (
            rest.get(..at).unwrap_or_default(),
            rest.get(at + 1..)
                .map(|value| OsString::from_vec(value.to_vec())),
        ),
        None => (rest, None),
    };
    Some((String::from_utf8_lossy(name).into_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> (Vec<OsString>, Words) {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let found = Words::parse(&words);
        (words, found)
    }

    #[test]
    fn bundles_and_logs_of_engines() {
        let docker = "--root /run/docker/runtime-runc/moby --log /l.json --log-format json create --bundle /b --pid-file /p --console-socket /s id";
        let (words, found) = parse(docker);
        assert!(found.creates() && found.logs_json());
        assert_eq!(found.bundle(), Some(Path::new("/b")));
        assert_eq!(found.log(), Some(Path::new("/l.json")));
        let other = found.with_bundle(&words, Path::new("/c"));
        assert_eq!(other.join(OsStr::new(" ")), *docker.replace("/b ", "/c "));

        let (words, found) = parse("--log-format=text run -b=/b --pid-file create id");
        assert_eq!(found.bundle(), Some(Path::new("/b")));
        assert!(found.creates() && !found.logs_json());
        assert_eq!(found.with_bundle(&words, Path::new("/c"))[2], "--bundle=/c");

        let (words, found) = parse("run id");
        assert_eq!((found.creates(), found.bundle()), (true, None));
        let other = found.with_bundle(&words, Path::new("/c"));
        assert_eq!(other, ["run", "--bundle", "/c", "id"]);
    }

    #[test]
    fn what_creates_nothing() {
        for line in [
            "--root run state id",
            "exec run create",
            "--version",
            "",
            "--",
            "features",
            "delete -f create",
        ] {
            assert!(!parse(line).1.creates(), "{line}");
        }
        assert!(parse("--systemd-cgroup create id").1.creates());
        // An option of the container's own command does not count.
        assert_eq!(parse("run id --bundle /x").1.bundle(), None);
        assert_eq!(
            parse("run -f /c.json id").1.config(),
            Some(Path::new("/c.json"))
        );
    }
}
