use vistafs_view::OptionValue;

use super::*;

fn parse(text: &str) -> Result<Config, Vec<String>> {
    let parsed = Config::parse(Path::new("c.toml"), text.to_owned(), true);
    parsed.map_err(|problems| problems.iter().map(Problem::to_string).collect())
}

/// The block of TOML in a document of Markdown that begins with some line.
fn example_in(document: &str) -> String {
    let lines = document
        .lines()
        .skip_while(|line| *line != "```toml")
        .skip(1);
    let lines: Vec<_> = lines.take_while(|line| *line != "```").collect();
    lines.join("\n")
}

#[test]
fn the_readme_shows_the_defaults() {
    let config = parse(&example_in(include_str!("../../../README.md"))).unwrap();
    let default = parse("").unwrap();
    assert!(config.selection().disable.is_empty());
    assert_eq!(
        config.selection().options["meminfo"]["zswap"],
        OptionValue::Bool(true)
    );
    assert_eq!(config.policy(), Policy::default());
    assert_eq!(config.policy(), default.policy());
    assert_eq!(config.host_ttl(), default.host_ttl());
    assert_eq!(config.stuck_seconds(), default.stuck_seconds());
    assert_eq!(config.threads(), 4);
    assert_eq!(config.plugin_dirs(), default.plugin_dirs());
}

#[test]
fn mistakes_are_told_with_line_key_and_remedy() {
    for (text, expected) in [
        (
            "[views]\nenabel = []\n",
            "line 2: unknown key `views.enabel` (did you mean `enable`?)",
        ),
        (
            "\n\n[vews]\n",
            "line 3: unknown key `vews` (did you mean `views`?)",
        ),
        (
            "[cpus]\nquota = 3\n",
            "line 2: `cpus.quota` takes true or false",
        ),
        (
            "[view.stat]\nsteal = 0.5\n",
            "line 2: `view.stat.steal` takes true, false, a whole number or a text",
        ),
        (
            "[fuse]\nthreads = 0\n",
            "line 2: `fuse.threads` takes a whole number, 1 to 255",
        ),
        (
            "[host]\nepoch_ms = 3\n",
            "line 2: `host.epoch_ms` was renamed: `ttl_ms`",
        ),
        ("\"a\\nb\" = 1\n", "line 1: unknown key `a\\nb`"),
        ("[cpus\n", "line 1: "),
        ("cpus = 1\n", "line 1: `cpus` is a table: [cpus]"),
        ("view = 1\n", "line 1: `view` has tables"),
        ("[view]\nstat = 1\n", "line 2: `view` has tables"),
        (
            "[views]\nenable = [1]\n",
            "line 2: `views.enable` takes a list in brackets",
        ),
        (
            "[host]\nttl_ms = -1\n",
            "line 2: `host.ttl_ms` takes a whole number, not below 0",
        ),
        ("[host]\nttl_ms = 1\nttl_ms = 2\n", "line 3: duplicate key"),
    ] {
        let problems = parse(text).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(expected), "{text:?}: {problems:?}");
        assert!(!problems[0].contains('\n'), "{problems:?}");
    }
}

#[test]
fn all_mistakes_are_told_in_order() {
    let text = "[worker]\nx = 1\n[cpus]\nquota = 1\ny = 2\n[z]\n";
    let problems = parse(text).unwrap_err();
    let lines: Vec<_> = problems.iter().map(|m| &m[..7]).collect();
    assert_eq!(lines, ["line 2:", "line 4:", "line 5:", "line 6:"]);
    let error = Config::of_text(Some(Path::new("c.toml")), text.into()).unwrap_err();
    assert!(error.to_string().contains("c.toml: line 2: "), "{error}");
    assert!(error.to_string().contains("and 3 more"), "{error}");
}

#[test]
fn every_value_tells_where_it_is_from() {
    let config = parse("[cpus]\n\nrenumber = true\n[view.stat]\nsteal = false\n").unwrap();
    let origin = |key: &str| {
        let entry = config.entries().iter().find(|entry| entry.key == key);
        entry.unwrap().origin
    };
    assert_eq!(origin("renumber"), Origin::Line(3));
    assert_eq!(origin("quota"), Origin::Default);
    assert_eq!(config.origin_of("stat", "steal"), Origin::Line(5));
    assert_eq!(config.origin_of("loadavg", "idle_seconds"), Origin::Default);
}

#[test]
fn files_are_described() {
    let text = r#"
[[file]]
path = "/proc/site/limits"
mode = "0400"
text = """
{{ memory.limit }}
"""

[[file]]
path = "proc/site/a"
name = "mine"
command = ["/bin/sh", "-c", "exit"]
user = "nobody"
"#;
    let config = parse(text).unwrap();
    let files: Vec<_> = config
        .files()
        .iter()
        .map(|file| (file.spec.name, file.spec.path))
        .collect();
    assert_eq!(
        files,
        [("site-limits", "proc/site/limits"), ("mine", "proc/site/a")]
    );
    assert_eq!(config.files()[0].spec.mode, 0o400);
    let lines: Vec<_> = config
        .files()
        .iter()
        .map(|file| file.origin.to_string())
        .collect();
    assert_eq!(lines, ["c.toml:2", "c.toml:9"]);
}

#[test]
fn bad_files_are_refused_with_their_line() {
    let ok = "[[file]]\npath = \"proc/x\"\n";
    let text = |text: &str| format!("{ok}text = {text}\n");
    let command = |rest: &str| format!("{ok}{rest}\n");
    for (text, expected) in [
        (
            "file = 1\n".to_owned(),
            "line 1: `file` is a list of tables: [[file]]",
        ),
        (
            "file = [1]\n".to_owned(),
            "line 1: `file` is a list of tables",
        ),
        (
            "[[file]]\ntext = \"\"\n".to_owned(),
            "line 1: a [[file]] has a `path`",
        ),
        (ok.to_owned(), "line 1: a [[file]] has one of"),
        (
            format!("{ok}text = \"\"\nsource = \"/x\"\n"),
            "line 1: a [[file]] has one of",
        ),
        (text("1"), "line 3: `file.text` takes a text"),
        (text("\"{{ x\""), "line 3: `file.text`: `{{` without `}}`"),
        (
            text("\"\"\"\nok\n{{ cpu.cont }}\n\"\"\""),
            "line 5: `file.text`: no value `cpu.cont` (did you mean `cpu.count`?)",
        ),
        (
            text("\"a\\n{{ cpu.cont }}\""),
            "line 3: `file.text`: no value",
        ),
        (
            format!("{}mode = 0o666\n", text("\"\"")),
            "line 1: [[file]] `mode` lets read",
        ),
        (
            format!("{}mode = -1\n", text("\"\"")),
            "line 4: `file.mode` takes permissions",
        ),
        (
            format!("{}name = \"A\"\n", text("\"\"")),
            "line 1: [[file]] `name` is of a-z",
        ),
        (
            format!("{}texd = 1\n", text("\"\"")),
            "line 4: unknown key `file.texd` (did you mean `text`?)",
        ),
        (
            format!("{}user = \"x\"\n", text("\"\"")),
            "line 4: unknown key `file.user`",
        ),
        (
            "[[file]]\npath = \"etc/x\"\ntext = \"\"\n".to_owned(),
            "line 1: [[file]] `path` is below",
        ),
        (
            command("source = \"proc/stat\""),
            "line 3: `file.source` takes an absolute path",
        ),
        (
            command("source = \"/x\"\nmax_bytes = 0"),
            "line 4: `file.max_bytes` takes 1 to",
        ),
        (
            command("cgroup = \"x\""),
            "line 3: `file.cgroup`: a file called alike",
        ),
        (
            command("cgroup = { v3 = \"x\" }"),
            "line 3: `file.cgroup`: has no \"v3\"",
        ),
        (
            command("cgroup = { v2 = \"../x\" }"),
            "line 3: `file.cgroup`: \"../x\" is not the name of a cgroup file",
        ),
        (
            command("cgroup = { v2 = 1 }"),
            "line 3: `file.cgroup`: names files in quotes",
        ),
        (command("cgroup = 1"), "line 3: `file.cgroup`: takes a name"),
        (
            command("command = \"ls\"\nuser = \"nobody\""),
            "line 3: `file.command` takes a list",
        ),
        (
            command("command = [\"ls\"]\nuser = \"nobody\""),
            "line 3: `file.command` takes a list",
        ),
        (
            command("command = []\nuser = \"nobody\""),
            "line 3: `file.command` takes a list",
        ),
        (
            command("command = [\"/bin/sh\"]"),
            "line 3: a command has a `user`",
        ),
        (
            command("command = [\"/bin/sh\"]\nuser = \"root\""),
            "line 4: a command has a `user`",
        ),
        (
            command("command = [\"/bin/sh\"]\nuser = \"no-such-user\""),
            "line 3: `file.command`: user no-such-user does not exist",
        ),
        (
            command("command = [\"/no/such\"]\nuser = \"nobody\""),
            "line 3: `file.command`: /no/such: No such file",
        ),
        (
            command("command = [\"/bin/sh\"]\nuser = \"nobody\"\ncache_ms = 1"),
            "line 5: `file.cache_ms` takes 100 to",
        ),
        (
            command("command = [\"/bin/sh\"]\nuser = \"nobody\"\ntimeout_ms = 5001"),
            "line 3: `file.timeout_ms` of all commands together is 5001 ms; it may be 5000",
        ),
    ] {
        let problems = parse(&text).unwrap_err();
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].starts_with(expected), "{text}: {problems:?}");
    }
}

/// Workers that start later use the same text, whatever has changed on the machine.
#[test]
fn a_user_that_was_removed_later_is_no_error() {
    let text = "[[file]]\npath = \"proc/x\"\ncommand = [\"/no/such\"]\nuser = \"no-such-user\"\n";
    assert!(parse(text).is_err());
    assert!(Config::of_text(None, text.to_owned()).is_ok());
}

#[test]
fn a_named_file_must_exist() {
    let error = Config::read(Some(Path::new("/no/such/file.toml"))).unwrap_err();
    assert!(error.to_string().contains("/no/such/file.toml"), "{error}");
    let config = parse("").unwrap();
    assert!(config.policy().cpus.quota);
    assert!(config.threads() >= 2);
}

mod any_text {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_read_or_refused(text in "\\PC{0,200}") {
            let _ = parse(&text);
        }

        /// Words that mean something, in any order.
        #[test]
        fn of_its_own_words_is_read_or_refused(words in prop::collection::vec(
            prop::sample::select(vec![
                "[cpus]", "[views]", "[view.stat]", "[[file]]", "[fuse]", "\n", "quota", "threads",
                "=", "true", "-1", "99999999999999999999", "\"x\"", "'''\n", "\"\"\"", "{{ cpu.count }}",
                "[", "]", "{", "}", ",", ".", "path", "text", "source", "cgroup", "command", "name",
            ]),
            0..40,
        )) {
            if let Err(problems) = parse(&words.join(" ")) {
                prop_assert!(!problems.is_empty());
                prop_assert!(problems.iter().all(|one| !one.contains('\n')), "{problems:?}");
            }
        }
    }
}

#[test]
fn a_file_that_others_can_change_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    std::fs::write(&path, "[host]\n").unwrap();
    for (mode, is_fine) in [(0o600, true), (0o644, true), (0o664, false), (0o646, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(text_of(Some(&path)).is_ok(), is_fine, "{mode:o}");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(text_of(Some(Path::new("/dev/null"))).unwrap(), "");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        let why = format!("{:#}", text_of(Some(&path)).unwrap_err());
        assert!(why.contains("belongs to user 65534 (chown root "), "{why}");
    }
}
