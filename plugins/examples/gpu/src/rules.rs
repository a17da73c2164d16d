//! The option `allow`: which cgroups have which GPUs, where the kernel does not report it.
//!
//! ```text
//! # a remark
//! /machine.slice/web   nvidia0 renderD129
//! /kubepods.slice/**   all
//! ```
//!
//! One line for a pattern of cgroup paths and the names of GPUs. In a pattern `*` matches anything
//! within one name, and a last `**` for everything below. All lines that fit count.

/// The lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
}

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    pattern: Vec<String>,
    gpus: Vec<String>,
}

/// A line that says nothing, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RuleError {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) problem: &'static str,
}

const ALL: &str = "all";

impl Rules {
    pub(crate) fn parse(text: &str) -> Result<Self, RuleError> {
        let mut rules = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let error = |problem| RuleError { line, problem };
            let mut words = text.split_ascii_whitespace();
            let Some(pattern) = words.next().filter(|word| !word.starts_with('#')) else {
                continue;
            };
            let Some(path) = pattern.strip_prefix('/') else {
                return Err(error("a pattern begins with a slash"));
            };
            let gpus: Vec<String> = words.map(str::to_owned).collect();
            if gpus.is_empty() {
                return Err(error("no GPU (nvidia0, renderD128, ..., or all)"));
            }
            let pattern: Vec<String> = path.split('/').map(str::to_owned).collect();
            if pattern.iter().rev().skip(1).any(|part| part == "**") {
                return Err(error("** can only be the last part of a pattern"));
            }
            rules.push(Rule { pattern, gpus });
        }
        Ok(Self { rules })
    }

    /// Whether a cgroup has a GPU. `None`: no line is about that cgroup.
    pub(crate) fn allow(&self, cgroup: &str, gpu: &str) -> Option<bool> {
        let path: Vec<&str> = cgroup.trim_start_matches('/').split('/').collect();
        let mut fitting = self.rules.iter().filter(|rule| rule.fits(&path)).peekable();
        fitting.peek()?;
        Some(fitting.any(|rule| rule.gpus.iter().any(|name| name == gpu || name == ALL)))
    }
}

impl Rule {
    fn fits(&self, path: &[&str]) -> bool {
        let (pattern, path) = match self.pattern.split_last() {
            Some((last, before)) if last == "**" && path.len() > before.len() => {
                (before, path.get(..before.len()).unwrap_or(path))
            }
            _ => (&self.pattern[..], path),
        };
        pattern.len() == path.len() && pattern.iter().zip(path).all(|(p, name)| matches(p, name))
    }
}

/// Whether a name matches a pattern with `*`.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(start) else {
        return false;
    };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The first place for each part leaves most for those after it.
    for part in middle.split('*') {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, fits) in [
            ("web", "web", true),
            ("web", "web2", false),
            ("*", "", true),
            ("w*b", "web", true),
            ("w*b", "wb", true),
            ("w*b", "b", false),
            ("wb*b", "wb", false),
            ("*.scope", "a.scope", true),
            ("a*b*c*d", "a1b2c3d", true),
            ("a*b*c*d", "a1c2b3d", false),
            ("a**b", "ab", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn all_lines_that_fit_count() {
        let text = "# ours\n\n/a/web-*  nvidia0\n/a/*\trenderD128\n/b/**  all\n";
        let rules = Rules::parse(text).unwrap();
        assert_eq!(rules.allow("/a/web-1", "nvidia0"), Some(true));
        assert_eq!(rules.allow("/a/web-1", "renderD128"), Some(true));
        assert_eq!(rules.allow("/a/web-1", "nvidia1"), Some(false));
        assert_eq!(rules.allow("/a/db", "nvidia0"), Some(false));
        assert_eq!(rules.allow("/b/x/y", "nvidia7"), Some(true));
        for unknown in ["/", "/a", "/a/web-1/x", "/b", "/c"] {
            assert_eq!(rules.allow(unknown, "nvidia0"), None, "{unknown}");
        }
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, line) in [("a nvidia0", 1), ("\n/a", 2), ("/a/**/b all", 1)] {
            assert_eq!(Rules::parse(text).unwrap_err().line, line, "{text}");
        }
        assert_eq!(Rules::parse(" \n# no\n"), Ok(Rules::default()));
    }
}
