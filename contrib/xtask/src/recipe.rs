//! The check of contrib/doc/ADD_A_VIEW.md: follows its steps in a copy of the sources.
//!
//! A block of the document that a comment precedes is one change of one file:
//!
//! ```text
//! <!-- PATH, new -->                   the block is the file
//! <!-- PATH, before: LINE -->          inserts the block before the first line that is this one
//! <!-- PATH, after: LINE -->           inserts the block after it
//! <!-- PATH, in place of: TEXT -->     the block, without its newline, replaces this text
//! ```

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::outcome::Outcome;
use crate::run;
use crate::work_dir;

const DOCUMENT: &str = "contrib/doc/ADD_A_VIEW.md";
/// The feature of the view that the document adds.
const FEATURE: &str = "cpucount";
/// The sources that cargo needs for it.
const NEEDED: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "contrib/xtask",
    "core",
    "plugins",
    "tests/Cargo.toml",
    "tests/bench",
    "tests/plugins",
    "tests/src",
    "tests/tests",
    "views",
];

/// Follows the document, runs the view's test, and checks the program with that view alone.
pub(crate) fn check() -> Result<Outcome> {
    let copy = work_dir::in_target("new-view")?;
    for part in NEEDED {
        let to = copy.join(part);
        let parent = to.parent().context("a part without a directory")?;
        fs::create_dir_all(parent)?;
        let from = run::workspace().join(part);
        run::quiet(Command::new("cp").arg("-rp").arg(from).arg(parent))?;
    }
    let document = fs::read_to_string(run::workspace().join(DOCUMENT))?;
    for change in changes(&document)? {
        change
            .make(&copy)
            .with_context(|| format!("{DOCUMENT}: {}", change.what))?;
    }
    let mut good = true;
    for task in [
        &["test", "--package", "vistafs-views", FEATURE][..],
        &["check", "--package", "vistafs"],
    ] {
        let mut command = run::cargo(task);
        command
            .args([
                "--offline",
                "--locked",
                "--no-default-features",
                "--features",
                FEATURE,
            ])
            .current_dir(&copy)
            // Reuses the build of external dependencies.
            .env("CARGO_TARGET_DIR", run::workspace().join("target"));
        good &= run::loud(&mut command)?.success();
    }
    Ok(Outcome::of(good))
}

/// A change of one file.
#[derive(Debug, PartialEq, Eq)]
struct Change<'d> {
    /// In the document's words: `PATH, new`.
    what: &'d str,
    block: &'d str,
}

/// The changes that a document describes.
fn changes(document: &str) -> Result<Vec<Change<'_>>> {
    let mut changes = Vec::new();
    for part in document.split("<!-- ").skip(1) {
        let (what, rest) = part
            .split_once(" -->\n```")
            .context("a comment without a block")?;
        let (_, rest) = rest.split_once('\n').context("a block without lines")?;
        let (block, _) = rest
            .split_once("```\n\n")
            .context("a block without an end")?;
        // Comments in a block may contain blocks, which do not begin a line.
        changes.push(Change { what, block });
    }
    if changes.is_empty() {
        bail!("{DOCUMENT} describes no change");
    }
    Ok(changes)
}

impl Change<'_> {
    fn make(&self, top: &Path) -> Result<()> {
        let (path, how) = self.what.split_once(", ").context("no path")?;
        let path = top.join(path);
        if how == "new" {
            if path.exists() {
                bail!("it is there already");
            }
            return Ok(fs::write(path, self.block)?);
        }
        let text = fs::read_to_string(&path)?;
        let (place, mark) = how.split_once(": ").context("no place")?;
        let (at, until) = match place {
            "before" => (line(&text, mark)?, line(&text, mark)?),
            "after" => {
                let end = line(&text, mark)? + mark.len() + 1;
                (end, end)
            }
            "in place of" => {
                let at = text.find(mark).context("no such text")?;
                (at, at + mark.len())
            }
            _ => bail!("no such place"),
        };
        let block = match place {
            "in place of" => self.block.trim_end(),
            _ => self.block,
        };
        let (before, after) = (text.get(..at), text.get(until..));
        let (before, after) = before.zip(after).context("no such place")?;
        Ok(fs::write(path, format!("{before}{block}{after}"))?)
    }
}

/// The offset of the first line that equals `wanted`.
fn line(text: &str, wanted: &str) -> Result<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end() == wanted {
            return Ok(at);
        }
        at += line.len();
    }
    bail!("no line {wanted:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work_dir::WorkDir;

    #[test]
    fn changes_are_found_and_made() {
        let document = "# A\n<!-- a, new -->\n```rust\n//! ```text\none\ntwo\n```\n\nthen\n\
                        <!-- a, before: two -->\n```\nnow\n```\n\n\
                        <!-- a, after: two -->\n```\nend\n```\n\n\
                        <!-- a, in place of: on -->\n```\nth\n```\n\n";
        let work = WorkDir::new().unwrap();
        for change in changes(document).unwrap() {
            change.make(&work.path).unwrap();
        }
        let text = fs::read_to_string(work.path.join("a")).unwrap();
        assert_eq!(text, "//! ```text\nthe\nnow\ntwo\nend\n");
        for bad in [
            "a, new",
            "a, before: three",
            "a, in place of: three",
            "b, after: x",
        ] {
            let change = Change {
                what: bad,
                block: "",
            };
            assert!(change.make(&work.path).is_err(), "{bad}");
        }
        work.remove();
    }

    #[test]
    fn the_document_describes_changes() {
        let document = fs::read_to_string(run::workspace().join(DOCUMENT)).unwrap();
        assert!(changes(&document).unwrap().len() >= 6);
    }
}
