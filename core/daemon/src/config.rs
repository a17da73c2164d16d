//! The configuration file.
//!
//! ```toml
//! [views]
//! enable = []            # names of views that are off by default
//! disable = []           # names of views to leave out, such as "stat"
//!
//! [view.meminfo]         # options of one view; `vistafs views --json` lists them
//! zswap = true
//!
//! [memory]
//! swap = true            # show containers their swap, in every view
//!
//! [cpus]
//! quota = true           # a CPU quota cuts the list of visible CPUs
//! renumber = false       # show them as 0, 1, 2, ...
//!
//! [host]
//! epoch_ms = 20          # how old a text of the host may be that containers share
//!
//! [fuse]
//! threads = 4            # serving threads; absent: one per CPU, 2 to 8
//!
//! [worker]
//! stuck_seconds = 10     # a request as old as that has the worker replaced; 0: never
//! ```
//!
//! An unknown key is an error, with its line. The default file need not exist.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use vistafs_container::CpuPolicy;
use vistafs_view::{OptionValue, Policy, Selection};

/// Where it is looked for.
const DEFAULT_PATH: &str = "/etc/vistafs/config.toml";

/// The whole configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    views: Views,
    view: BTreeMap<String, BTreeMap<String, Value>>,
    cpus: Cpus,
    memory: Memory,
    host: HostSection,
    fuse: Fuse,
    worker: Worker,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Views {
    enable: Vec<String>,
    disable: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "true, false or a whole number")]
enum Value {
    Bool(bool),
    Integer(i64),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Cpus {
    quota: bool,
    renumber: bool,
}

impl Default for Cpus {
    fn default() -> Self {
        let CpuPolicy { quota, renumber } = CpuPolicy::default();
        Self { quota, renumber }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Memory {
    swap: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            swap: Policy::default().swap,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HostSection {
    epoch_ms: u64,
}

impl Default for HostSection {
    fn default() -> Self {
        Self { epoch_ms: 20 }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Fuse {
    threads: Option<std::num::NonZeroU8>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Worker {
    stuck_seconds: u32,
}

impl Default for Worker {
    fn default() -> Self {
        Self { stuck_seconds: 10 }
    }
}

impl Config {
    /// Reads the file that was asked for, which must be there, or the default one, which need not.
    pub(crate) fn read(asked: Option<&Path>) -> anyhow::Result<Self> {
        let path = asked.unwrap_or(Path::new(DEFAULT_PATH));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if asked.is_none() && error.kind() == ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot read the configuration {}", path.display()));
            }
        };
        Self::parse(&text).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
    }

    /// Errors are one line: `line 3: unknown field ...`.
    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| {
            let message = error.message().lines().collect::<Vec<_>>().join("; ");
            match error.span() {
                Some(span) => {
                    let before = text.get(..span.start).unwrap_or(text);
                    format!("line {}: {message}", before.matches('\n').count() + 1)
                }
                None => message,
            }
        })
    }

    /// What it says about views.
    pub(crate) fn selection(&self) -> Selection {
        let value = |value: &Value| match value {
            Value::Bool(value) => OptionValue::Bool(*value),
            Value::Integer(value) => OptionValue::Integer(*value),
        };
        let options = |of: &BTreeMap<String, Value>| {
            of.iter()
                .map(|(name, v)| (name.clone(), value(v)))
                .collect()
        };
        Selection {
            enable: self.views.enable.clone(),
            disable: self.views.disable.clone(),
            options: self
                .view
                .iter()
                .map(|(view, of)| (view.clone(), options(of)))
                .collect(),
        }
    }

    /// What holds for all views alike.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            cpus: CpuPolicy {
                quota: self.cpus.quota,
                renumber: self.cpus.renumber,
            },
            swap: self.memory.swap,
        }
    }

    /// How old a shared text of the host may be.
    pub(crate) fn epoch(&self) -> Duration {
        Duration::from_millis(self.host.epoch_ms)
    }

    /// How old a request may become before its worker is taken for stuck; 0: any age.
    pub(crate) fn stuck_seconds(&self) -> u64 {
        self.worker.stuck_seconds.into()
    }

    /// Serving threads. More than one, so that a container whose files are slow delays no other.
    pub(crate) fn threads(&self) -> usize {
        match self.fuse.threads {
            Some(threads) => usize::from(threads.get()),
            None => std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8)),
        }
    }
}

/// Every key, with a comment, as the head of this file has it.
#[cfg(test)]
pub(crate) fn example() -> String {
    first_toml(include_str!("config.rs"))
}

#[cfg(test)]
fn first_toml(text: &str) -> String {
    text.lines()
        .map(|line| line.trim_start_matches("//!").trim())
        .skip_while(|line| *line != "```toml")
        .skip(1)
        .take_while(|line| *line != "```")
        .fold(String::new(), |all, line| all + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_example_is_accepted() {
        let documented = example();
        let readme = first_toml(include_str!("../../../README.md"));
        assert_eq!(documented, readme);
        let config = Config::parse(&documented).unwrap();
        assert!(config.selection().disable.is_empty());
        assert_eq!(
            config.selection().options["meminfo"]["zswap"],
            OptionValue::Bool(true)
        );
        assert_eq!(config.policy(), Policy::default());
        assert_eq!(config.epoch(), Config::default().epoch());
        assert_eq!(config.stuck_seconds(), Config::default().stuck_seconds());
        assert_eq!(config.threads(), 4);
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, expected) in [
            ("[views]\nenabel = []\n", "line 2: unknown field `enabel`"),
            ("\n\n[vews]\n", "line 3: unknown field `vews`"),
            (
                "[cpus]\nquota = 3\n",
                "line 2: invalid type: integer `3`, expected a boolean",
            ),
            (
                "[view.stat]\nsteal = \"no\"\n",
                "true, false or a whole number",
            ),
            ("[fuse]\nthreads = 0\n", "line 2: "),
            ("[cpus\n", "line 1: "),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
            assert!(!error.contains('\n'), "{error:?}");
        }
    }

    #[test]
    fn a_file_that_was_asked_for_must_be_there() {
        let error = Config::read(Some(Path::new("/no/such/file.toml"))).unwrap_err();
        assert!(error.to_string().contains("/no/such/file.toml"), "{error}");
        let config = Config::default();
        assert!(config.policy().cpus.quota);
        assert!(config.threads() >= 2);
    }
}
