//! The text of `devices.list`: which devices a cgroup of version 1 may use.
//!
//! ```text
//! c 195:0 rwm
//! c 226:* rw
//! ```
//!
//! Kind (`a`ll, `b`lock, `c`haracter), major and minor number or `*`, and what is allowed: to read, to
//! write, to make a node. Linux `Documentation/admin-guide/cgroup-v1/devices.rst`.

use crate::gpus::Device;

/// The devices that a container may use.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct DevicesList {
    lines: Vec<Line>,
}

/// Character devices; `None` matches every number.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    major: Option<u32>,
    minor: Option<u32>,
}

impl DevicesList {
    /// `None`: it is not what the kernel documents.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = Vec::new();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let (kind, numbers, access) = (words.next()?, words.next()?, words.next()?);
            let (major, minor) = numbers.split_once(':')?;
            let line = Line {
                major: number(major)?,
                minor: number(minor)?,
            };
            // The right to create a node does not allow opening it.
            if ["a", "c"].contains(&kind) && access.contains(['r', 'w']) {
                lines.push(line);
            }
        }
        Some(Self { lines })
    }

    pub(crate) fn allows(&self, device: Device) -> bool {
        self.lines.iter().any(|line| {
            line.major.is_none_or(|major| major == device.major)
                && line.minor.is_none_or(|minor| minor == device.minor)
        })
    }
}

/// A number or `*`. `None`: neither.
fn number(word: &str) -> Option<Option<u32>> {
    if word == "*" {
        return Some(None);
    }
    word.parse().ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NVIDIA_0: Device = Device::nvidia(0);
    const RENDER_128: Device = Device::render(128);

    #[test]
    fn what_it_allows() {
        for (text, nvidia, render) in [
            ("a *:* rwm\n", true, true),
            ("c 195:0 rw\n", true, false),
            ("c 195:* r\nc 226:128 w\n", true, true),
            ("c *:128 rw\n", false, true),
            ("c 195:0 m\n", false, false),
            ("b 195:0 rwm\n", false, false),
            ("c 195:1 rwm\nc 1:3 rwm\n", false, false),
            ("", false, false),
        ] {
            let list = DevicesList::parse(text).unwrap();
            assert_eq!(list.allows(NVIDIA_0), nvidia, "{text}");
            assert_eq!(list.allows(RENDER_128), render, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "c\n",
            "c 195 rw\n",
            "c 195:0\n",
            "c a:0 rw\n",
            "c 195:-1 rw\n",
            "\n",
        ] {
            assert_eq!(DevicesList::parse(text), None, "{text}");
        }
    }
}
