//! Messages: to standard error, in journald's form when it is the journal.
//!
//! Nothing is written per request at the default level.

use std::io::Write;
use std::os::fd::AsFd;

use log::{Level, LevelFilter, Log, Metadata, Record};

use vistafs_supervisor::error_text;

struct Logger {
    journal: bool,
}

/// Starts logging; `verbose` counts the `-v`s.
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

/// Tells the error that ends the program: one line, or the whole chain.
pub(crate) fn report(error: &anyhow::Error, chain: bool) {
    let mut line = format!("{error}");
    // The outermost message says what was tried, the innermost why it failed.
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
        // fuser tells of each request and of each unmount at its own discretion.
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
        // One write, so that lines of two threads do not mix. Nobody to tell if it fails.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// A message in one line that a terminal shows as it is. Names of cgroups, mounts and files are what a container
/// has made of them: a line break would forge a line of the log, an escape sequence would take the terminal over.
pub(crate) fn plain(message: &str) -> String {
    let mut plain = String::with_capacity(message.len());
    for character in message.chars() {
        match character {
            '\n' => plain.push(' '),
            // Marks that change the direction of what follows, too.
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

/// Whether fuser tells of a reply that the kernel does not wait for (ENOENT): it was asked to send the request
/// again (FUSE_NOTIFY_RESEND) while it was being answered, and has had the other answer.
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

/// `$JOURNAL_STREAM` is "device:inode" of the stream that systemd connected; a redirection of
/// standard error makes it another (systemd.exec(5)).
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
