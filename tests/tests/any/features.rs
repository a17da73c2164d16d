//! The cargo features for packagers: the program forwards the features of the views.

use std::collections::BTreeMap;

use crate::captured::workspace;
use crate::tables::check_table;

/// The features of a crate, with the features that each enables.
fn features(of: &str) -> BTreeMap<String, Vec<String>> {
    let manifest = std::fs::read_to_string(workspace().join(of).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap();
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    let stands_for = |value: &toml::Value| value.as_array().unwrap().iter().map(text).collect();
    let features = manifest["features"].as_table().unwrap().iter();
    let features = features.filter(|(name, _)| *name != "default");
    features
        .map(|(name, of)| (name.clone(), stands_for(of)))
        .collect()
}

#[test]
fn each_feature_of_the_views_is_one_of_the_program() {
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in features("views").into_keys() {
        let passed_on = vec![format!("vistafs-views/{name}")];
        let name = if name == "all" {
            "all-views".into()
        } else {
            name
        };
        expected.insert(name, passed_on);
    }
    let mut program = features("core/daemon");
    program.retain(|_, of| of.iter().any(|one| one.starts_with("vistafs-views/")));
    assert_eq!(program, expected);
}

#[test]
fn all_is_every_view_and_groups_do_not_overlap() {
    let views = features("views");
    let mut single: Vec<&String> = views
        .iter()
        .filter(|(_, of)| of.is_empty())
        .map(|(name, _)| name)
        .collect();
    single.sort();
    let mut all: Vec<&String> = views["all"].iter().collect();
    all.sort();
    assert_eq!(all, single);
    let groups = views.iter().filter(|(name, _)| name.starts_with("group-"));
    let mut grouped: Vec<&String> = groups.flat_map(|(_, of)| of).collect();
    let count = grouped.len();
    grouped.sort();
    grouped.dedup();
    assert_eq!(grouped.len(), count, "a view in two groups");
    assert!(grouped.iter().all(|name| single.contains(name)));
}

#[test]
fn the_page_for_packagers_has_the_groups() {
    let path = workspace().join("contrib/doc/PACKAGING.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let mut rows = String::new();
    for (name, of) in features("views")
        .iter()
        .filter(|(name, _)| name.starts_with("group-"))
    {
        rows += &format!("| `{name}` | {} |\n", of.join(", "));
    }
    check_table(&path, &document, "features", &rows);
}
