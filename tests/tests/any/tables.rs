//! Document tables that are generated from the code.

use std::path::Path;

/// Fails unless the table after a mark has these rows; `VISTAFS_ACCEPT=1` writes them.
#[track_caller]
pub(crate) fn check_table(path: &Path, document: &str, mark: &str, rows: &str) {
    let current = with_rows(document, mark, rows);
    if std::env::var_os("VISTAFS_ACCEPT").is_some() {
        std::fs::write(path, &current).unwrap();
    } else {
        let shown = path.display();
        assert!(
            document == current,
            "{shown} is not current: VISTAFS_ACCEPT=1 writes {mark}"
        );
    }
}

/// Returns the document with other rows in the table after a mark.
fn with_rows(document: &str, mark: &str, rows: &str) -> String {
    const RULE: &str = "|---|---|\n";
    let mark = format!("<!-- {mark}:");
    let start = document.find(&mark).expect("the table's mark");
    let head = document[start..].find(RULE).unwrap() + start + RULE.len();
    let old = document[head..].split_inclusive('\n');
    let old: usize = old
        .take_while(|line| line.starts_with('|'))
        .map(str::len)
        .sum();
    [&document[..head], rows, &document[head + old..]].concat()
}

#[test]
fn rows_are_replaced_and_nothing_else() {
    let rule = "|---|---|\n";
    let before = format!("a\n<!-- x: y -->\n\n| A | B |\n{rule}| 1 | 2 |\n| 3 | 4 |\n\nb\n");
    let after = format!("a\n<!-- x: y -->\n\n| A | B |\n{rule}| 5 | 6 |\n\nb\n");
    assert_eq!(with_rows(&before, "x", "| 5 | 6 |\n"), after);
    assert_eq!(with_rows(&after, "x", "| 5 | 6 |\n"), after);
}
