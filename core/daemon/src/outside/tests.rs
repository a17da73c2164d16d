use std::path::Path;

use vistafs_config::{Origin, example};
use vistafs_view::Policy;

use super::*;

fn parse(text: &str) -> anyhow::Result<Config> {
    Config::of_text(Some(Path::new("c.toml")), text.to_owned())
}

#[test]
fn the_example_is_current_and_can_be_used() {
    let built_in = Registry::collect(&Selection::default()).unwrap();
    let example = example(built_in.all());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/vistafs.toml");
    if std::env::var_os("VISTAFS_ACCEPT").is_some() {
        std::fs::write(&path, &example).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert_eq!(committed, example, "VISTAFS_ACCEPT=1 writes it");
    registry(&parse(&example).unwrap()).unwrap();
    // Each key may be uncommented as it stands.
    let is_key =
        |line: &str| line.starts_with("# ") && (line.contains(" = ") || line == "# [[file]]");
    let uncommented: Vec<&str> = example
        .lines()
        .map(|line| if is_key(line) { &line[2..] } else { line })
        .collect();
    let config = parse(&uncommented.join("\n")).unwrap();
    registry(&config).unwrap();
    assert_eq!(config.policy(), Policy::default());
    let set = config
        .entries()
        .iter()
        .filter(|entry| entry.origin == Origin::Default);
    assert_eq!(set.count(), 0);
}

#[test]
fn what_the_registry_refuses_is_told_with_its_line() {
    for (text, expected) in [
        (
            "\n[views]\ndisable = [\"memifo\"]\n",
            "c.toml: line 3: unknown view \"memifo\"",
        ),
        (
            "[view.stat]\n\nsteel = true\n",
            "c.toml: line 3: view stat has no option steel",
        ),
        (
            "[view.stat]\nsteal = 3\n",
            "c.toml: line 2: option steal of view stat takes",
        ),
        ("[view.stta]\n", "c.toml: line 1: unknown view \"stta\""),
    ] {
        let error = registry(&parse(text).unwrap()).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn files_in_the_way_are_refused_with_their_line() {
    let file = |path: &str| format!("[[file]]\npath = \"{path}\"\ntext = \"\"\n");
    for (text, expected) in [
        (
            file("proc/meminfo"),
            "c.toml: line 1: [[file]] proc/meminfo: ",
        ),
        (file("proc/meminfo"), "[views] replace = [\"proc/meminfo\"]"),
        (file("proc/meminfo/x"), "line 1: [[file]] proc/meminfo/x"),
        (file("sys/devices"), "[views] disable"),
        (file("proc/x") + &file("proc/x"), "take one of them away"),
        (file("proc/x") + &file("proc/x/y"), "[views] disable"),
    ] {
        let error = registry(&parse(&text).unwrap()).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(expected), "{text}: {error}");
    }
    let replaced = format!(
        "[views]\nreplace = [\"proc/meminfo\"]\n{}",
        file("proc/meminfo")
    );
    registry(&parse(&replaced).unwrap()).unwrap();
    let disabled = format!("[views]\ndisable = [\"x\"]\n{}", file("proc/x"));
    registry(&parse(&disabled).unwrap()).unwrap();
}
