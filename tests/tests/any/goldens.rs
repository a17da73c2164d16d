//! Every view of every captured host, compared with `tests/golden/<host>/<path of the view>`.
//!
//! `tests/golden/README.md` describes how to accept a change and how to capture a host.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use vistafs_view::ViewError;

use crate::captured::{Captured, fixtures, tests_dir};

fn golden_dir() -> PathBuf {
    tests_dir().join("golden")
}

fn accepting() -> bool {
    std::env::var_os("VISTAFS_ACCEPT").is_some_and(|value| value == "1")
}

/// The contents of the view, or the name of its error.
fn reading(host: &Captured, view: &str) -> String {
    match host.try_show(view) {
        Err(ViewError::Answer(errno)) => format!("{errno}\n"),
        _ => host.show(view),
    }
}

/// Every view of every captured host matches its golden file.
#[test]
fn views_of_captured_hosts() {
    let mut failures = String::new();
    for (name, host) in fixtures() {
        for view in host.views() {
            let file = golden_dir().join(&name).join(view);
            let shown = reading(&host, view);
            let accepted = std::fs::read_to_string(&file).ok();
            if accepted.as_deref() == Some(&shown) {
                continue;
            }
            if accepting() {
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(&file, &shown).unwrap();
                continue;
            }
            failures += &match accepted {
                None => format!("{name}/{view}: nothing was accepted yet\n"),
                Some(accepted) => format!("{name}/{view}:\n{}", difference(&accepted, &shown)),
            };
        }
    }
    assert!(
        failures.is_empty(),
        "\n{failures}\nIf that is how it should be: VISTAFS_ACCEPT=1 cargo test -p vistafs-tests --test any goldens"
    );
}

/// There is no golden file of a removed view or host.
#[test]
fn every_golden_file_has_its_view_and_host() {
    let mut wanted: BTreeSet<PathBuf> = [golden_dir().join("README.md")].into();
    for (name, host) in fixtures() {
        let files = host.views().into_iter();
        wanted.extend(files.map(|view| golden_dir().join(&name).join(view)));
    }
    let mut there = BTreeSet::new();
    collect(&golden_dir(), &mut there);
    let left_behind: Vec<_> = there.difference(&wanted).collect();
    assert!(left_behind.is_empty(), "{left_behind:#?}");
}

fn collect(dir: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path);
        }
    }
}

/// The lines that differ, without the common head and tail.
fn difference(accepted: &str, shown: &str) -> String {
    let was: Vec<&str> = accepted.lines().collect();
    let is: Vec<&str> = shown.lines().collect();
    let mut text = String::new();
    if was.len() == is.len() {
        for (index, (was, is)) in was.iter().zip(&is).enumerate() {
            if was != is {
                text += &format!("  line {}\n  - {was}\n  + {is}\n", index + 1);
            }
        }
    } else {
        let common = was.iter().zip(&is).take_while(|(a, b)| a == b).count();
        let rest = was.len().min(is.len()) - common;
        let ends = was.iter().rev().zip(is.iter().rev());
        let tail = ends.take(rest).take_while(|(a, b)| a == b).count();
        text += &format!("  from line {}\n", common + 1);
        for line in &was[common..was.len() - tail] {
            text += &format!("  - {line}\n");
        }
        for line in &is[common..is.len() - tail] {
            text += &format!("  + {line}\n");
        }
    }
    if text.is_empty() {
        "  the newline at the end\n".clone_into(&mut text);
    }
    text
}

#[test]
fn differences_are_readable() {
    assert_eq!(
        difference("a\nb\nc\n", "a\nB\nc\n"),
        "  line 2\n  - b\n  + B\n"
    );
    assert_eq!(difference("a\nb\nc\n", "a\nc\n"), "  from line 2\n  - b\n");
    assert_eq!(difference("a\n", "a"), "  the newline at the end\n");
}
