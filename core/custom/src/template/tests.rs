use proptest::prelude::*;

use super::*;

fn failed(text: &str) -> (usize, String) {
    let error = Template::parse(text).unwrap_err();
    (error.line, error.why)
}

#[test]
fn values_filters_and_quotes_are_understood() {
    let template =
        Template::parse("a {{memory.limit}} {{ memory.limit | kib }} {{ \"{{\" }}}}\n").unwrap();
    let limit = VALUES
        .iter()
        .find(|value| value.name == "memory.limit")
        .unwrap();
    let expected = [
        Piece::Text("a ".into()),
        Piece::Value(limit, None),
        Piece::Text(" ".into()),
        Piece::Value(limit, Some(Filter::Kib)),
        Piece::Text(" {{}}\n".into()),
    ];
    assert_eq!(template.pieces, expected);
    assert_eq!(Template::parse("").unwrap().pieces, []);
    assert_eq!(Template::parse("}} { {").unwrap().pieces.len(), 1);
}

#[test]
fn errors_name_line_and_hint() {
    for (text, line, expected) in [
        (
            "a\n{{ memory.limt }}",
            1,
            "no value `memory.limt` (did you mean `memory.limit`?)",
        ),
        (
            "{{ memory.limit | kb }}",
            0,
            "no filter `kb` (did you mean `kib`?)",
        ),
        (
            "{{ cpu.count | kib }}",
            0,
            "`cpu.count` is not a byte count",
        ),
        ("\n\n{{ cpu.count", 2, "without `}}`"),
        ("{{ cpu.count {{ cpu.count }}", 0, "without `}}`"),
        ("{{}}", 0, "no value ``"),
        ("{{ \"a }}", 0, "no value"),
    ] {
        let (at, why) = failed(text);
        assert_eq!(at, line, "{text:?}: {why}");
        assert!(why.contains(expected), "{text:?}: {why}");
        assert!(!why.contains('\n'), "{why:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_understood_or_refused(text in "[{}|\" a-z.\\n]{0,60}|\\PC{0,60}") {
        if let Err(error) = Template::parse(&text) {
            prop_assert!(error.line <= text.matches('\n').count());
            prop_assert!(!error.why.contains('\n'));
        }
    }

    /// Text without braces is copied unchanged.
    #[test]
    fn text_without_braces_stays(text in "[^{]{0,80}") {
        let pieces = Template::parse(&text).unwrap().pieces;
        let expected = if text.is_empty() { vec![] } else { vec![Piece::Text(text)] };
        prop_assert_eq!(pieces, expected);
    }

    /// Every text can be written by quoting it.
    #[test]
    fn quoted_text_is_copied(text in "[^\"]{1,40}") {
        let template = Template::parse(&format!("{{{{ \"{text}\" }}}}")).unwrap();
        prop_assert_eq!(template.pieces, vec![Piece::Text(text)]);
    }
}
