//! The README's table of views is that of the registry.

use vistafs_view::{Registry, Selection};

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
