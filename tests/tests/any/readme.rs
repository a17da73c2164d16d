//! The README's table of views matches the registry, and the tests that it names exist.

use std::path::Path;

use vistafs_view::{Registry, Selection};

use crate::captured::workspace;

#[test]
fn the_table_of_views_is_that_of_the_registry() {
    let readme = include_str!("../../../README.md");
    let start = readme.find("<!-- views:").expect("the table's mark");
    let rows = readme[start..]
        .lines()
        .skip_while(|l| !l.starts_with("|---"))
        .skip(1);
    let table: Vec<&str> = rows.take_while(|l| l.starts_with('|')).collect();
    let registry = Registry::collect(&Selection::default()).unwrap();
    let row = |view: &vistafs_view::Registered| {
        format!("| `{}` | {} |", view.spec.path, view.spec.summary)
    };
    let expected: Vec<String> = registry.all().iter().map(row).collect();
    assert_eq!(table, expected);
}

/// The sources of all tests, concatenated.
fn sources(dir: &Path) -> String {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries.fold(String::new(), |all, entry| {
        let path = entry.path();
        if path.is_dir() {
            all + &sources(&path)
        } else {
            all + &std::fs::read_to_string(path).unwrap()
        }
    })
}

#[test]
fn what_it_says_beside_lxcfs_has_tests() {
    let readme = include_str!("../../../README.md");
    let start = readme.find("<!-- tests:").expect("the table's mark");
    let rows = readme[start..]
        .lines()
        .skip_while(|l| !l.starts_with("|---"))
        .skip(1);
    let rows: Vec<&str> = rows.take_while(|l| l.starts_with('|')).collect();
    assert!(rows.len() >= 8, "{rows:?}");
    let sources = sources(&workspace().join("tests/tests"));
    for row in rows {
        let name = row.trim_end_matches([' ', '|']).rsplit('`').nth(1).unwrap();
        let test = format!("#[test]\nfn {name}() {{");
        assert!(
            sources.contains(&test),
            "README.md names {name}, which is no test"
        );
    }
}
