//! A loaded plugin, and its log.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use vistafs_plugin_abi as abi;

/// A loaded plugin; never freed.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) file: PathBuf,
    /// Unique within this process.
    pub(crate) number: usize,
    lines: Mutex<Lines>,
}

/// Lines logged within [`WHILE`]: lines that callers can cause must not fill the log.
const MOST_LINES: u32 = 50;
const WHILE: Duration = Duration::from_secs(60);
/// Longer than any reasonable line.
const LONGEST: usize = 1000;

#[derive(Debug)]
struct Lines {
    since: Instant,
    count: u32,
}

impl Loaded {
    pub(crate) fn new(file: PathBuf, number: usize) -> Self {
        Self {
            file,
            number,
            lines: Mutex::new(Lines {
                since: Instant::now(),
                count: 0,
            }),
        }
    }

    /// Logs a line of the plugin.
    pub(crate) fn log(&self, level: u32, line: &[u8]) {
        let level = match level {
            abi::LEVEL_ERROR => log::Level::Error,
            abi::LEVEL_WARN => log::Level::Warn,
            abi::LEVEL_INFO => log::Level::Info,
            _ => log::Level::Debug,
        };
        if level > log::max_level() {
            return;
        }
        let file = self.file.display();
        match self.counted() {
            count if count < MOST_LINES => {
                let line = line.get(..LONGEST).unwrap_or(line);
                let line = String::from_utf8_lossy(line);
                log::log!(level, "plugin {file}: {}", line.trim_end().escape_debug());
            }
            MOST_LINES => {
                let seconds = WHILE.as_secs();
                log::warn!(
                    "plugin {file} says too much; no more of it for {seconds} s (report it to its maker)"
                );
            }
            _ => {}
        }
    }

    /// Number of lines before this one.
    fn counted(&self) -> u32 {
        let mut lines = self.lines.lock();
        if lines.since.elapsed() >= WHILE {
            *lines = Lines {
                since: Instant::now(),
                count: 0,
            };
        }
        let before = lines.count;
        lines.count = before.saturating_add(1);
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted() {
        let loaded = Loaded::new("x".into(), 0);
        assert_eq!([0; 3].map(|_| loaded.counted()), [0, 1, 2]);
        log::set_max_level(log::LevelFilter::Error);
        for _ in 0..200 {
            loaded.log(abi::LEVEL_DEBUG, b"not told");
            loaded.log(abi::LEVEL_ERROR, b"\xff\n\x1b");
        }
        assert_eq!(loaded.counted(), 203);
    }
}
