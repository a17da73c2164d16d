//! The tables of contrib/doc/SEMANTICS.md are complete, and correct for every captured host.

use std::collections::BTreeMap;

use crate::captured::{Captured, fixtures, meminfo_field, workspace};

/// A row of a field table.
#[derive(Debug)]
struct Row {
    kind: String,
    v1: String,
}

fn document() -> String {
    std::fs::read_to_string(workspace().join("contrib/doc/SEMANTICS.md")).unwrap()
}

/// The text below the heading of a view, up to the next heading. A heading may name several views.
fn section<'d>(document: &'d str, view: &str) -> Option<&'d str> {
    let mut sections = document.split("\n## ").skip(1);
    sections.find_map(|text| {
        let (heading, below) = text.split_once('\n')?;
        heading
            .split(", ")
            .any(|name| name == view)
            .then_some(below)
    })
}

/// The rows of the table in a section, by field.
fn rows(section: &str) -> BTreeMap<String, Row> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", field, kind, v1, _v2, ""] = cells[..] else {
            return None;
        };
        let field = field.trim_matches('`').to_owned();
        let (kind, v1) = (kind.to_owned(), v1.to_owned());
        Some((field, Row { kind, v1 }))
    };
    section.lines().filter_map(row).collect()
}

fn meminfo_rows() -> BTreeMap<String, Row> {
    rows(section(&document(), "proc/meminfo").unwrap())
}

fn fields(meminfo: &str) -> impl Iterator<Item = &str> {
    meminfo.lines().map(|line| line.split(':').next().unwrap())
}

/// Whether the container has a memory controller; if so, whether it is v1's.
fn memory_is_v1(host: &Captured) -> Option<bool> {
    let cgroup = host.facts.cgroup.strip_prefix("/").unwrap();
    let top = host.root.join("sys/fs/cgroup");
    let v1 = top
        .join("memory")
        .join(cgroup)
        .join("memory.limit_in_bytes");
    let v2 = top.join(cgroup).join("memory.max");
    (v1.exists() || v2.exists()).then(|| v1.exists())
}

#[test]
fn every_view_has_a_section_with_a_table() {
    let document = document();
    let (_, host) = fixtures().next().unwrap();
    for view in host.views() {
        let section = section(&document, view);
        let section = section.unwrap_or_else(|| panic!("SEMANTICS.md has no \"## {view}\""));
        assert!(rows(section).contains_key("Field"), "{view} has no table");
    }
}

/// The table has each field that a captured kernel has.
#[test]
fn the_meminfo_table_is_complete() {
    let rows = meminfo_rows();
    for (name, host) in fixtures() {
        for field in fields(&host.host_file("proc/meminfo")) {
            assert!(
                rows.contains_key(field),
                "{name}: SEMANTICS.md has no {field}"
            );
        }
    }
}

/// Each field is shown as the table states: the host's value, or zero.
#[test]
fn the_meminfo_table_is_true() {
    let rows = meminfo_rows();
    for (name, host) in fixtures() {
        let Some(v1) = memory_is_v1(&host) else {
            continue;
        };
        let of_host = host.host_file("proc/meminfo");
        let shown = host.show("proc/meminfo");
        for field in fields(&of_host) {
            let row = &rows[field];
            let value = meminfo_field(&shown, field);
            let expected = match row.kind.as_str() {
                "host" => meminfo_field(&of_host, field),
                "zero" => Some(0),
                "container" if v1 && row.v1.starts_with("0:") => Some(0),
                "container" => continue,
                kind => panic!("{field} is {kind:?}"),
            };
            assert_eq!(value, expected, "{name}: {field} is {}", row.kind);
        }
    }
}
