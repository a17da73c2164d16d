//! The line protocol between the benchmark and a reader.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::plan::Way;

/// The duration of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Time(Duration),
    Reads(u64),
}

/// One slice of reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    /// A path on the host, which is bind-mounted in the container before it is read.
    pub(crate) path: String,
    pub(crate) way: Way,
    /// Number of concurrent threads.
    pub(crate) readers: usize,
    pub(crate) length: Length,
}

impl Job {
    pub(crate) fn line(&self) -> String {
        let (unit, length) = match self.length {
            Length::Time(time) => ("ms", u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            Length::Reads(reads) => ("reads", reads),
        };
        format!(
            "{} {} {unit} {length} {}\n",
            self.way.word(),
            self.readers,
            self.path
        )
    }

    pub(crate) fn parse(line: &str) -> Result<Self> {
        let mut words = line.trim_end().splitn(5, ' ');
        let mut word = || words.next().context("a job is five words");
        let way = match word()? {
            "open" => Way::Open,
            "kept" => Way::Kept,
            other => bail!("no way to read: {other}"),
        };
        let readers = word()?.parse()?;
        let length = match (word()?, word()?.parse()?) {
            ("ms", ms) => Length::Time(Duration::from_millis(ms)),
            (_, reads) => Length::Reads(reads),
        };
        Ok(Self {
            path: word()?.to_owned(),
            way,
            readers,
            length,
        })
    }
}

/// The reply of a reader: the latency of each read and the total duration, in ns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) elapsed: u64,
    pub(crate) each: Vec<u64>,
}

impl Done {
    pub(crate) fn line(&self) -> String {
        let mut line = format!("done {}", self.elapsed);
        for ns in &self.each {
            line.push(' ');
            line.push_str(&ns.to_string());
        }
        line.push('\n');
        line
    }

    /// # Errors
    /// The error of the reader.
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let Some(numbers) = line.strip_prefix("done ") else {
            bail!("a reader says: {}", line.trim_end());
        };
        let mut numbers = numbers.split_whitespace().map(str::parse::<u64>);
        Ok(Self {
            elapsed: numbers.next().context("no time")??,
            each: numbers.collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        for length in [Length::Reads(7), Length::Time(Duration::from_millis(20))] {
            let job = Job {
                path: "/tmp/a b/proc/stat".into(),
                way: Way::Kept,
                readers: 16,
                length,
            };
            assert_eq!(Job::parse(&job.line()).unwrap(), job);
        }
        let done = Done {
            elapsed: 9,
            each: vec![4, 5],
        };
        assert_eq!(Done::parse(&done.line()).unwrap(), done);
        assert!(Done::parse("failed: no such file\n").is_err());
        assert!(Job::parse("open 1 ms\n").is_err());
    }
}
