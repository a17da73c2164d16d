//! `tests/matrix.toml` names every module of tests once, and nothing that is not there.

use std::collections::BTreeSet;

use toml::Table;

/// The modules that a test program declares, and the full names of their tests.
fn declared(program: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let text = std::fs::read_to_string(format!("{root}/{program}.rs")).unwrap();
    let modules = text.lines().filter_map(|line| line.strip_prefix("mod "));
    let mut tests = BTreeSet::new();
    let mut with_tests = BTreeSet::new();
    for module in modules.map(|module| module.trim_end_matches(';')) {
        let source = std::fs::read_to_string(format!("{root}/{program}/{module}.rs")).unwrap();
        let mut is_test = false;
        for line in source.lines() {
            is_test |= line == "#[test]";
            let name = line
                .strip_prefix("fn ")
                .and_then(|rest| rest.split('(').next());
            if let Some(name) = name.filter(|_| is_test) {
                tests.insert(format!("{module}::{name}"));
                with_tests.insert(module.to_owned());
                is_test = false;
            }
        }
    }
    (with_tests, tests)
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
