use std::sync::Arc;

use super::*;
use crate::{Context, Registry, View, ViewError};

#[derive(Debug)]
struct Empty;

impl View for Empty {
    fn render(&self, _: &mut Context<'_>, _: &mut Vec<u8>) -> Result<(), ViewError> {
        Ok(())
    }
}

fn spec(name: &'static str, path: &'static str) -> &'static ViewSpec {
    Box::leak(Box::new(ViewSpec {
        name,
        path,
        summary: "a test",
        mode: 0o444,
        on_by_default: true,
        sources: &[],
        options: &[],
        build: |_| Provider::File(Arc::new(Empty)),
    }))
}

fn plugin(file: &str, name: &'static str, path: &'static str) -> Outside {
    Outside {
        spec: spec(name, path),
        provider: Provider::File(Arc::new(Empty)),
        origin: Origin::Plugin(file.into()),
    }
}

/// Name and status of each view, by path, of a program with meminfo and a tree of CPUs built in.
fn judged(selection: &Selection, outside: Vec<Outside>) -> Vec<(&'static str, Origin, Status)> {
    let built_in = [
        spec("meminfo", "proc/meminfo"),
        spec("sys-cpu", "sys/devices/system/cpu"),
    ];
    let outside = OutsideViews {
        views: outside,
        refused: vec![],
    };
    let registry = Registry::assemble(built_in, outside, selection).unwrap();
    let views = registry.all().iter();
    views
        .map(|view| (view.spec.name, view.origin.clone(), view.status.clone()))
        .collect()
}

fn status(judged: &[(&str, Origin, Status)], name: &str, origin: Option<&str>) -> Status {
    let of = |one: &&(&str, Origin, Status)| {
        let from = match &one.1 {
            Origin::Plugin(file) => file.to_str(),
            _ => None,
        };
        one.0 == name && from == origin
    };
    judged.iter().find(of).unwrap().2.clone()
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|&word| word.to_owned()).collect()
}

#[test]
fn a_view_from_outside_serves_beside_the_built_in_ones() {
    let views = judged(&Selection::default(), vec![plugin("/p", "gpu", "proc/gpu")]);
    let order: Vec<_> = views.iter().map(|view| view.0).collect();
    assert_eq!(order, ["gpu", "meminfo", "sys-cpu"]);
    assert!(views.iter().all(|view| view.2 == Status::On));
    let off = Selection {
        disable: words(&["gpu"]),
        ..Selection::default()
    };
    let views = judged(&off, vec![plugin("/p", "gpu", "proc/gpu")]);
    assert_eq!(status(&views, "gpu", Some("/p")), Status::Disabled);
}

#[test]
fn it_replaces_a_built_in_view_only_where_that_is_configured() {
    let other = || vec![plugin("/p", "mine", "proc/meminfo")];
    let views = judged(&Selection::default(), other());
    assert_eq!(status(&views, "meminfo", None), Status::On);
    let Status::Refused(why) = status(&views, "mine", Some("/p")) else {
        panic!("{views:?}");
    };
    assert!(
        why.contains(r#"[views] replace = ["proc/meminfo"]"#),
        "{why}"
    );

    let replace = Selection {
        replace: words(&["proc/meminfo"]),
        ..Selection::default()
    };
    // Under its own name or the built-in one's.
    for name in ["mine", "meminfo"] {
        let views = judged(&replace, vec![plugin("/p", name, "proc/meminfo")]);
        let replaced = Status::Replaced(name.into());
        assert_eq!(status(&views, "meminfo", None), replaced);
        assert_eq!(status(&views, name, Some("/p")), Status::On);
    }
    // A plugin that could not be loaded leaves the built-in one.
    let views = judged(&replace, vec![]);
    assert_eq!(status(&views, "meminfo", None), Status::On);
    // So does one that is disabled.
    let disabled = Selection {
        disable: words(&["mine"]),
        ..replace
    };
    let views = judged(&disabled, other());
    assert_eq!(status(&views, "meminfo", None), Status::On);
}

#[test]
fn order_decides_nothing() {
    let two = || {
        vec![
            plugin("/a", "a", "proc/x"),
            plugin("/b", "b", "proc/x"),
            plugin("/c", "c", "proc/y"),
        ]
    };
    let views = judged(&Selection::default(), two());
    let mut reversed = two();
    reversed.reverse();
    assert_eq!(views, judged(&Selection::default(), reversed));
    for (name, file, remedy) in [
        ("a", "/a", "view b (plugin /b)"),
        ("b", "/b", "view a (plugin /a)"),
    ] {
        let Status::Refused(why) = status(&views, name, Some(file)) else {
            panic!("{views:?}");
        };
        assert!(
            why.contains(remedy) && why.contains("[views] disable"),
            "{why}"
        );
    }
    assert_eq!(status(&views, "c", Some("/c")), Status::On);
    let one = Selection {
        disable: words(&["a"]),
        ..Selection::default()
    };
    let views = judged(&one, two());
    assert_eq!(status(&views, "a", Some("/a")), Status::Disabled);
    assert_eq!(status(&views, "b", Some("/b")), Status::On);
}

#[test]
fn what_cannot_be_served_is_refused_and_the_rest_serves() {
    for (name, path, expected) in [
        ("out", "etc/shadow", "not below proc/ or sys/"),
        ("out", "proc", "not below proc/ or sys/"),
        ("out", "at/x", "at/"),
        ("out", "proc/../etc/shadow", "an empty component"),
        ("out", "proc//x", "an empty component"),
        ("out", "/proc/x", "an empty component"),
        ("out", "proc/x y", "printable ASCII"),
        ("Out", "proc/x", "its name"),
        ("", "proc/x", "its name"),
        ("out", "proc/meminfo/x", "[views] disable = [\"meminfo\"]"),
        ("out", "sys/devices", "[views] disable = [\"sys-cpu\"]"),
        ("out", "sys/devices/system/cpu/x", "[views] disable"),
        ("meminfo", "proc/x", "the same name"),
    ] {
        let views = judged(&Selection::default(), vec![plugin("/p", name, path)]);
        let Status::Refused(why) = status(&views, name, Some("/p")) else {
            panic!("{path}: {views:?}");
        };
        assert!(why.contains(expected), "{path}: {why}");
        let on = views.iter().filter(|view| view.2 == Status::On);
        assert_eq!(on.count(), 2, "{path}");
    }
}

#[test]
fn names_of_views_that_could_not_be_made_are_passed_over() {
    let selection = Selection {
        disable: words(&["gpu"]),
        ..Selection::default()
    };
    let made = |is_incomplete: bool| {
        let refusal = Refusal {
            origin: Origin::Plugin("/plugins/gpu.so".into()),
            why: "it is broken".into(),
            is_told: false,
        };
        let outside = OutsideViews {
            views: vec![],
            refused: is_incomplete.then_some(refusal).into_iter().collect(),
        };
        Registry::assemble([spec("meminfo", "proc/meminfo")], outside, &selection)
    };
    assert!(made(true).is_ok());
    assert!(made(false).is_err());
    let replace = Selection {
        replace: words(&["proc/nothing"]),
        ..Selection::default()
    };
    assert!(Registry::assemble([spec("a", "proc/a")], OutsideViews::default(), &replace).is_err());
}
