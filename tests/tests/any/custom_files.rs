//! contrib/doc/CUSTOM_FILES.md lists all values and filters.

use vistafs_custom::{FILTERS, VALUES};

use crate::captured::workspace;
use crate::tables::check_table;

#[test]
fn the_tables_are_those_of_the_code() {
    let path = workspace().join("contrib/doc/CUSTOM_FILES.md");
    let document = || std::fs::read_to_string(&path).unwrap();
    let mut values = String::new();
    for value in VALUES {
        let unit = if value.is_bytes { "; bytes" } else { "" };
        values += &format!("| `{}` | {}{unit} |\n", value.name, value.summary);
    }
    check_table(&path, &document(), "values", &values);
    let mut filters = String::new();
    for (name, _, summary) in FILTERS {
        filters += &format!("| `{name}` | {summary} |\n");
    }
    check_table(&path, &document(), "filters", &filters);
}
