//! contrib/doc/ARCHITECTURE.md names exactly the crates and paths that exist.

use std::collections::BTreeSet;
use std::path::Path;

use crate::captured::workspace;

fn document() -> String {
    std::fs::read_to_string(workspace().join("contrib/doc/ARCHITECTURE.md")).unwrap()
}

/// The directories of all crates, from the workspace's manifest.
fn crates() -> Vec<String> {
    let manifest = std::fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let name = |member: &toml::Value| member.as_str().unwrap().to_owned();
    members.iter().map(name).collect()
}

/// Returns everything in `text` that looks like a path in the workspace.
fn paths(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "/_-.".contains(c);
    let tops = ["core/", "views/", "tests/", "contrib/"];
    text.split(|c| !is_part(c))
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| tops.iter().any(|top| word.starts_with(top)))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_crate_is_in_the_house() {
    let document = document();
    let house = document.split("\n## ").find(|s| s.starts_with("The house"));
    let house = house.unwrap();
    for name in crates() {
        let named = |line: &str| line.split_whitespace().any(|word| word == name);
        assert!(house.lines().any(named), "ARCHITECTURE.md has no {name}");
    }
}

/// The dependencies of a crate on crates of the workspace, by their directories.
fn dependencies(directory: &str) -> BTreeSet<String> {
    let read = |path: &Path| -> toml::Table {
        toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let shared = read(&workspace().join("Cargo.toml"));
    let shared = shared["workspace"]["dependencies"].as_table().unwrap();
    let manifest = read(&workspace().join(directory).join("Cargo.toml"));
    let own = manifest.get("dependencies").and_then(toml::Value::as_table);
    own.into_iter()
        .flat_map(toml::Table::keys)
        .filter_map(|name| Some(shared.get(name)?.get("path")?.as_str()?.to_owned()))
        .collect()
}

#[test]
fn crates_depend_on_those_of_the_table() {
    let document = document();
    let section = document
        .split("\n## ")
        .find(|s| s.starts_with("Dependencies"));
    let mut above: BTreeSet<String> = BTreeSet::new();
    let rows = section
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("| `"));
    for row in rows {
        let names: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        let (name, listed) = names.split_first().unwrap();
        let listed: BTreeSet<String> = listed.iter().map(|&one| one.to_owned()).collect();
        assert_eq!(listed, dependencies(name), "{name}");
        assert!(listed.is_subset(&above), "{name} stands above a dependency");
        above.insert((*name).to_owned());
    }
    let is_part = |name: &String| !name.starts_with("tests") && !name.contains("examples");
    let all: BTreeSet<_> = crates().into_iter().filter(is_part).collect();
    assert_eq!(
        above,
        all.into_iter()
            .filter(|name| name != "contrib/xtask")
            .collect()
    );
}

#[test]
fn every_path_is_there() {
    let named = paths(&document());
    assert!(named.len() > 20, "{named:?}");
    for path in named {
        assert!(workspace().join(&path).exists(), "{path} is not there");
    }
}

#[test]
fn paths_are_found_in_prose() {
    let text = "see `core/text/src/lib.rs`, (views/src) and core/host. Not /proc/self or a/b.";
    assert_eq!(
        paths(text),
        ["core/text/src/lib.rs", "views/src", "core/host"]
    );
}

/// Every function that starts a child resets the signals that vistafs blocks.
#[test]
fn children_are_started_in_one_place() {
    let mut directories: Vec<_> = ["core", "plugins/host", "plugins/sdk", "views"]
        .map(|top| workspace().join(top))
        .into();
    let mut starting = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
            if path.is_dir() && !is_test {
                directories.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") && !is_test {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                let starts = [
                    ".spawn()",
                    ".output()",
                    ".status()",
                    "posix_spawn",
                    "fork()",
                ];
                if code.contains("Command") && starts.iter().any(|start| code.contains(start)) {
                    starting.push(path);
                }
            }
        }
    }
    assert_eq!(starting, [workspace().join("core/host/src/spawn.rs")]);
}
