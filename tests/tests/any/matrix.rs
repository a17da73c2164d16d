//! `tests/matrix.toml` names every test module once, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use toml::Table;

/// Adds the names of the tests in a source and in the sources of its directory.
fn add_tests(source: &Path, module: &str, tests: &mut BTreeSet<String>) {
    let mut is_test = false;
    for line in std::fs::read_to_string(source).unwrap().lines() {
        is_test |= line == "#[test]";
        let rest = line.strip_prefix("fn ");
        if let Some(name) = rest.and_then(|rest| rest.split('(').next())
            && std::mem::take(&mut is_test)
        {
            tests.insert(format!("{module}::{name}"));
        }
    }
    let below = std::fs::read_dir(source.with_extension("")).into_iter();
    for path in below.flatten().map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            add_tests(&path, &format!("{module}::{name}"), tests);
        }
    }
}

/// The test modules that a test program declares, and the names of their tests.
fn declared(program: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let text = std::fs::read_to_string(root.join(program).with_extension("rs")).unwrap();
    let mut path = "";
    let mut tests = BTreeSet::new();
    for line in text.lines() {
        if let Some(quoted) = line.strip_prefix("#[path = \"") {
            path = quoted.trim_end_matches("\"]");
        }
        if let Some(module) = line.strip_prefix("mod ") {
            add_tests(&root.join(path), module.trim_end_matches(';'), &mut tests);
        }
    }
    let module_of = |test: &String| test.split(':').next().unwrap().to_owned();
    (tests.iter().map(module_of).collect(), tests)
}

#[test]
fn every_module_of_tests_runs_somewhere() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/matrix.toml");
    let matrix: Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let mut all = BTreeSet::new();
    for program in ["machine", "guest"] {
        let (modules, tests) = declared(program);
        assert!(
            modules.len() > 4 && tests.len() > modules.len(),
            "{tests:?}"
        );
        let named = matrix[program].as_table().unwrap();
        let named: BTreeSet<_> = named.keys().cloned().collect();
        assert_eq!(named, modules, "[{program}] of {path}");
        for name in matrix["hybrid"][program].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let is_there = tests.iter().any(|test| test.starts_with(name));
            assert!(is_there, "[hybrid] of {path}: there is no test {name}");
        }
        all.extend(tests);
    }
    for name in matrix["not_in_guests"].as_table().unwrap().keys() {
        let is_there = all.iter().any(|test| test.starts_with(name));
        assert!(
            is_there,
            "[not_in_guests] of {path}: there is no test {name}"
        );
    }
}
