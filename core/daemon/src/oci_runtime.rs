//! `vistafs oci-runtime`: an OCI runtime that adds the views and executes the real one.
//!
//! It is called as `vistafs oci-runtime …`, or through a link named `vistafs-runtime`. On `create` and `run`
//! it adds the hook of `vistafs oci-hook` to the bundle's config.json. Then, and for every other command at
//! once, it executes the real runtime: options, exit status, descriptors and signals are those of
//! the runtime.
//!
//! | file | owns |
//! |---|---|
//! | `words.rs` | parses the relevant part of the command line of runc and crun |
//! | `splice.rs` | adds a hook to config.json without changing another byte |
//! | `bundle.rs` | reads and replaces config.json, in the bundle or beside it |
//! | `real.rs` | finds the real runtime |

mod bundle;
mod real;
mod splice;
mod words;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::logging;
use bundle::Changed;
use vistafs_config::{Config, Runtime};
use vistafs_supervisor::error_text::in_one_line;
use words::Words;

/// The name of a link to vistafs that is called as a runtime.
const NAME: &str = "vistafs-runtime";
/// The command.
const COMMAND: &str = "oci-runtime";

/// A call as a runtime.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call {
    config: Option<PathBuf>,
    words: Vec<OsString>,
}

/// Returns the call, if it is one as a runtime. clap does not parse it: all arguments after the command belong
/// to the runtime.
pub(crate) fn called(words: impl IntoIterator<Item = OsString>) -> Option<Call> {
    let mut words = words.into_iter();
    let program = words.next()?;
    let mut config = None;
    if Path::new(&program).file_name() != Some(NAME.as_ref()) {
        loop {
            let word = words.next()?;
            let text = word.to_str()?;
            match text.strip_prefix("--config") {
                Some("") => config = Some(words.next()?.into()),
                Some(value) => config = Some(value.strip_prefix('=')?.into()),
                None if text == COMMAND => break,
                None => return None,
            }
        }
    }
    let words = words.collect();
    Some(Call { config, words })
}

/// Executes the real runtime.
pub(crate) fn main(call: &Call) -> ExitCode {
    logging::start(0);
    let Err(error) = run(call);
    logging::report(&error, false);
    ExitCode::FAILURE
}

fn run(call: &Call) -> anyhow::Result<std::convert::Infallible> {
    let words = Words::parse(&call.words);
    let config = Config::read(call.config.as_deref());
    let settings = config.as_ref().map(Config::runtime).ok();
    let real = real::find(settings.and_then(|one| one.path.as_deref()))?;
    let mut arguments = call.words.clone();
    if words.creates() {
        let is_required = settings.is_some_and(|one| one.required);
        let added = match &config {
            Ok(config) => add(call, &words, config.runtime()),
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        match added {
            Ok(Changed::InPlace) => {}
            Ok(Changed::Copy(bundle)) => arguments = words.with_bundle(&call.words, &bundle),
            Err(error) if is_required => {
                let why = in_one_line(&error);
                report(&words, "error", &why);
                bail!("the container is not created, because [runtime] required is set: {why}");
            }
            Err(error) => {
                let why = format!(
                    "the container sees the host's files: {}",
                    in_one_line(&error)
                );
                report(&words, "warning", &why);
            }
        }
    }
    let error = std::process::Command::new(&real).args(arguments).exec();
    Err(error).with_context(|| {
        let real = real.display();
        format!("cannot execute the runtime {real} ([runtime] path in the configuration names it)")
    })
}

/// Adds the hook to the bundle's configuration, unless the container opts out.
fn add(call: &Call, words: &Words, settings: &Runtime) -> anyhow::Result<Changed> {
    let bundle = std::path::absolute(words.bundle().unwrap_or(Path::new(".")))
        .context("cannot find the directory of the bundle")?;
    let (file, text) = bundle::read(&bundle, words.config())?;
    let annotations = splice::Annotations::parse(&text)
        .with_context(|| format!("{} is not a valid container configuration", file.display()))?;
    if annotations.opts_out() || splice::has_hook(&text) {
        return Ok(Changed::InPlace);
    }
    if !vistafs_attach::oci::is_serving(&settings.mount) {
        bail!(
            "vistafs is not serving at {} (systemctl start vistafs; [runtime] mount in the configuration says where)",
            settings.mount.display()
        );
    }
    let own =
        std::env::current_exe().context("cannot find the path of vistafs (is /proc mounted?)")?;
    let mut args: Vec<String> = vec!["vistafs".into()];
    let text_of = |path: &Path| {
        let text = path.to_str().map(str::to_owned);
        text.with_context(|| format!("{} is not UTF-8, and config.json is", path.display()))
    };
    if let Some(config) = &call.config {
        let config = std::path::absolute(config).context("cannot find the configuration")?;
        args.extend(["--config".into(), text_of(&config)?]);
    }
    args.extend([
        "oci-hook".into(),
        "--mount".into(),
        text_of(&settings.mount)?,
    ]);
    if let Some(views) = annotations.views() {
        args.push(format!("--only={views}"));
    }
    if settings.required {
        args.push("--required".into());
    }
    let hook = serde_json::json!({"path": text_of(&own)?, "args": args, "timeout": 60});
    let changed = splice::with_hook(&text, &hook.to_string())
        .with_context(|| format!("cannot add a hook to {}", file.display()))?;
    bundle::replace(&bundle, &file, &changed)
}

/// Reports to the runtime's own log, which engines read; to standard error, which is often the
/// container's, only without a log.
fn report(words: &Words, level: &str, why: &str) {
    let Some(file) = words.log() else {
        log::warn!("{why}");
        return;
    };
    let time = humantime();
    let mut line = String::new();
    let message = serde_json::Value::from(format!("vistafs: {why}"));
    let _ = match words.logs_json() {
        true => writeln!(
            line,
            r#"{{"level":"{level}","msg":{message},"time":"{time}"}}"#
        ),
        false => writeln!(line, r#"time="{time}" level={level} msg={message}"#),
    };
    let opened = std::fs::File::options()
        .create(true)
        .append(true)
        .open(file);
    if let Err(error) = opened.and_then(|mut file| file.write_all(line.as_bytes())) {
        log::warn!("{why}; cannot write to {}: {error}", file.display());
    }
}

/// Returns the time in the format of runtimes' logs, RFC 3339 in UTC.
fn humantime() -> String {
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_secs();
    let (days, seconds) = (now / 86_400, now % 86_400);
    // Days since 1970, computed with years that begin in March.
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(words: &[&str]) -> Option<(Option<PathBuf>, usize)> {
        let call = called(words.iter().map(OsString::from))?;
        Some((call.config, call.words.len()))
    }

    #[test]
    fn calls_as_a_runtime() {
        assert_eq!(
            call(&["/usr/bin/vistafs-runtime", "--config", "x"]),
            Some((None, 2))
        );
        assert_eq!(call(&["vistafs-runtime"]), Some((None, 0)));
        assert_eq!(call(&["vistafs", "oci-runtime", "--help"]), Some((None, 1)));
        let config = Some(PathBuf::from("/c"));
        let with = ["vistafs", "--config", "/c", "oci-runtime", "-v"];
        assert_eq!(call(&with), Some((config.clone(), 1)));
        assert_eq!(
            call(&["vistafs", "--config=/c", "oci-runtime"]),
            Some((config, 0))
        );
        for other in [
            &["vistafs"][..],
            &["vistafs", "show", "oci-runtime"],
            &["vistafs", "--config"],
        ] {
            assert_eq!(call(other), None);
        }
    }
}
