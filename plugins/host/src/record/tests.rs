use proptest::prelude::*;

use super::*;

fn good() -> Record {
    Record {
        name: "hello".into(),
        path: "proc/hello".into(),
        summary: "greets".into(),
        mode: 0o444,
        renders: true,
        options: vec![OptionRecord {
            name: "times".into(),
            summary: "how often".into(),
            kind: abi::OPTION_NUMBER,
            number: 1,
            least: 1,
            most: 9,
            ..OptionRecord::default()
        }],
        ..Record::default()
    }
}

#[test]
fn what_cannot_be_served_is_told() {
    assert_eq!(good().problem(), None);
    let tree = |record: &mut Record| record.kind = abi::KIND_TREE;
    type Spoil = fn(&mut Record);
    let rows: [(Spoil, &str); 11] = [
        (|r| r.name.clear(), "name"),
        (|r| r.path = "etc/x".into(), "not below proc/ or sys/"),
        (|r| r.path = "proc/../etc/x".into(), "component"),
        (|r| r.path = "proc/a b".into(), "printable"),
        (|r| r.mode = 0o4755, "permission bits"),
        (|r| r.mode = 0x1_01ff, "permission bits"),
        (|r| r.renders = false, "render"),
        (tree, "tree without functions"),
        (|r| r.kind = 7, "kind is 7"),
        (|r| r.options[0].number = 10, "range"),
        (|r| r.options.push(r.options[0].clone()), "twice"),
    ];
    for (spoil, expected) in rows {
        let mut record = good();
        spoil(&mut record);
        let why = record.problem().unwrap();
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn a_record_becomes_a_registration() {
    let mut record = good();
    record.flags = abi::VIEW_OFF_BY_DEFAULT | abi::VIEW_NEEDS_HOST_FILE;
    record.sources = vec!["memory".into(), "processes".into()];
    let spec = record.into_spec();
    assert_eq!(
        (spec.name, spec.path, spec.mode),
        ("hello", "proc/hello", 0o444)
    );
    assert!(!spec.on_by_default);
    let sources = [
        Source::Controller("memory"),
        Source::Processes,
        Source::Host,
    ];
    assert_eq!(spec.sources, sources);
    assert_eq!(spec.options[0].range, Some(1..=9));
}

fn any_option() -> impl Strategy<Value = OptionRecord> {
    let texts = ("[a-c_]{0,3}|.{0,3}", "[ -~]{0,5}|.{0,5}", ".{0,4}");
    (texts, 0..5u32, any::<i64>(), -5..5i64, -5..5i64).prop_map(
        |((name, summary, text), kind, number, least, most)| OptionRecord {
            name,
            summary,
            kind,
            number,
            text,
            least,
            most,
        },
    )
}

prop_compose! {
    fn any_record()(
        name in "[a-z]{0,3}|.{0,4}",
        path in "(proc|sys|at|)(/(\\.|\\.\\.|[a-z]|.){0,3}){0,3}",
        summary in "[ -~]{0,5}|.{0,5}",
        kind in 0..3u32,
        mode in prop_oneof![0..0o1000u32, any::<u32>()],
        flags in any::<u32>(),
        options in proptest::collection::vec(any_option(), 0..3),
        renders in any::<bool>(),
        has_tree in any::<bool>(),
    ) -> Record {
        Record {
            name, path, summary, kind, mode, flags, options, renders, has_tree,
            sources: Vec::new(),
        }
    }
}

proptest! {
    #[test]
    fn what_is_let_through_can_be_registered(record in any_record()) {
        if record.problem().is_none() {
            let below = record.path.split('/').collect::<Vec<_>>();
            prop_assert!(matches!(below[0], "proc" | "sys") && below.len() > 1);
            prop_assert!(below.iter().all(|part| !matches!(*part, "" | "." | "..")));
            let spec = record.into_spec();
            let problem =
                registration_problem(spec.name, spec.path, spec.mode, spec.summary);
            prop_assert_eq!(problem, None);
            let options = vistafs_view::Options::new(spec.name, spec.options, []);
            prop_assert!(options.is_ok());
        }
    }
}
