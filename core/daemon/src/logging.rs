//! Log messages, on standard error; with priorities if that is the journal.
//!
//! At the default level no message is logged per request.

use std::io::Write;
use std::os::fd::AsFd;

use log::{Level, LevelFilter, Log, Metadata, Record};

use vistafs_supervisor::error_text;

struct Logger {
    journal: bool,
}

/// Starts logging; `verbose` is the number of `-v` options.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::Info,
        1 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    let logger = Logger {
        journal: stderr_is_journal(),
    };
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(level);
    }
}

/// Reports the error that ends the program: one line, or the whole chain.
pub(crate) fn report(error: &anyhow::Error, chain: bool) {
    let mut line = format!("{error}");
    // The outermost message names the operation, the innermost one the cause.
    let cause = error.root_cause().to_string();
    if !line.contains(&cause) {
        line = format!("{line}: {cause}");
    }
    line = error_text::with_hint(line, error);
    log::error!("{line}");
    if chain {
        for cause in error.chain().skip(1) {
            log::error!("  because: {cause}");
        }
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // fuser logs each request and each unmount at its own levels.
        let ours = metadata.target().starts_with("vistafs");
        let quietest = if ours { Level::Debug } else { Level::Warn };
        metadata.level() <= quietest || log::max_level() == LevelFilter::Trace
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let message = plain(&record.args().to_string());
        if is_reply_to_nobody(record.target(), &message) && log::max_level() < LevelFilter::Trace {
            return;
        }
        let line = if self.journal {
            format!("<{}>{message}\n", priority(record.level()))
        } else {
            format!("vistafs: {}{message}\n", word(record.level()))
        };
        // One write per line, so that lines of two threads do not mix. A failure cannot be reported.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Returns a message in one line that is safe to print. Names of cgroups, mounts and files are chosen by containers: a
/// line break would forge a log line, an escape sequence would control the terminal.
pub(crate) fn plain(message: &str) -> String {
    let mut plain = String::with_capacity(message.len());
    for character in message.chars() {
        match character {
            '\n' => plain.push(' '),
            // Also characters that change the direction of text.
            c if c.is_control()
                || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                plain.extend(c.escape_default());
            }
            c => plain.push(c),
        }
    }
    plain
}

/// Returns whether it is fuser's message about a reply that the kernel did not take (ENOENT): the request was resent
/// (FUSE_NOTIFY_RESEND) and answered twice.
fn is_reply_to_nobody(target: &str, message: &str) -> bool {
    target.starts_with("fuser::")
        && message.starts_with("Failed to send FUSE reply: ")
        && message.ends_with("(os error 2)")
}

/// sd-daemon(3)
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error | Level::Info => "",
        Level::Warn => "warning: ",
        Level::Debug => "debug: ",
        Level::Trace => "trace: ",
    }
}

/// `$JOURNAL_STREAM` is "device:inode" of the stream that systemd connected. A redirection of standard
/// error changes them (systemd.exec(5)).
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    rustix::fs::fstat(std::io::stderr().as_fd())
        .is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_container_has_chosen_forge_no_line_and_no_colour() {
        let name = "a\u{1b}[2J\u{9b}1m\r\n<3>forged\tb\u{202e}\u{7f}";
        assert_eq!(
            plain(&format!("container /{name} has asked")),
            "container /a\\u{1b}[2J\\u{9b}1m\\r <3>forged\\tb\\u{202e}\\u{7f} has asked"
        );
        assert_eq!(plain("/lxc.payload.été"), "/lxc.payload.été");
    }

    #[test]
    fn a_reply_to_nobody_is_not_told() {
        let failed = |errno| {
            let error = std::io::Error::from_raw_os_error(errno);
            format!("Failed to send FUSE reply: {error}")
        };
        assert!(is_reply_to_nobody("fuser::reply", &failed(libc::ENOENT)));
        assert!(!is_reply_to_nobody("fuser::reply", &failed(libc::EINVAL)));
        assert!(!is_reply_to_nobody("vistafs", &failed(libc::ENOENT)));
    }
}
