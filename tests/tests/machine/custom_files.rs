//! `[[file]]` tables of the configuration, on a real mount.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{TestContainer, field};
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{MountOptions, Mounted, printed, vistafs};

const MIB: u64 = 1 << 20;

/// Timeout of commands that must succeed: an emulated processor needs seconds to start one.
const PATIENT: &str = "timeout_ms = 20000";

pub(crate) fn mounted(config: String) -> Mounted {
    // Must exceed the sum of all commands' timeouts.
    let config = format!("{config}\n[worker]\nstuck_seconds = 300\n");
    Mounted::with(&MountOptions {
        config,
        ..MountOptions::default()
    })
}

/// A shell command, shown at `proc/site/NAME`.
pub(crate) fn command(name: &str, script: &str, limits: &str) -> String {
    let timeout = if limits.contains("timeout_ms") {
        ""
    } else {
        PATIENT
    };
    format!(
        "[[file]]\npath = \"proc/site/{name}\"\ncommand = [\"/bin/sh\", \"-c\", '{script}']\n\
         user = \"nobody\"\n{limits}\n{timeout}\n"
    )
}

fn errno(path: &Path) -> Option<i32> {
    std::fs::read(path).unwrap_err().raw_os_error()
}

/// The document's blocks of a kind.
fn blocks(kind: &str) -> Vec<&'static str> {
    let document = include_str!("../../../contrib/doc/CUSTOM_FILES.md");
    let begin = format!("```{kind}\n");
    let parts = document.split(begin.as_str()).skip(1);
    parts
        .map(|part| part.split("```").next().unwrap())
        .collect()
}

#[test]
fn the_examples_of_the_document() {
    require_privileged!();
    let mounted = mounted(
        blocks("toml")
            .concat()
            .replace("timeout_ms = 1000", PATIENT),
    );
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(64 * MIB);
    cgroup.limit_cpus("0");
    let at = mounted.path(cgroup.address("").trim_end_matches('/'));
    let mut lines = blocks("console")
        .concat()
        .lines()
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
        .peekable();
    let mut commands = 0;
    while let Some(line) = lines.next() {
        let script = line.strip_prefix("$ ").unwrap_or_else(|| panic!("{line}"));
        let ran = Command::new("sh")
            .args(["-c", script])
            .current_dir(&at)
            .output();
        let output = printed(&ran.unwrap());
        for shown in output.lines() {
            let expected = lines.next_if(|line| !line.starts_with("$ "));
            let expected = expected.unwrap_or_else(|| panic!("{script}: {output}"));
            let fits = if expected == "…" {
                !shown.is_empty()
            } else {
                shown == expected
            };
            assert!(fits, "{script}: {shown:?}, not {expected:?}");
        }
        assert!(
            lines.peek().is_none_or(|line| line.starts_with("$ ")),
            "{script}: {output}"
        );
        commands += 1;
    }
    assert!(commands >= 5);
    // Processes in the container see the same values, and processes on the host see the host's.
    let script = format!(
        "cat {0}/limits {0}/report",
        mounted.path("proc/site").display()
    );
    let text = TestContainer::new(&mounted, &cgroup).run(&script);
    assert!(text.contains("memory 64 MiB\ncpus 1: 0\n"), "{text}");
    assert!(text.contains("67108864 bytes, user nobody\n"), "{text}");
    assert!(
        mounted
            .read("proc/site/limits")
            .contains("memory max MiB\n")
    );
    assert!(mounted.read("proc/site/report").starts_with("max bytes"));
    let own = std::fs::read_to_string("/proc/interrupts").unwrap();
    let shown = mounted.read("proc/site/interrupts");
    assert_eq!(shown.lines().next(), own.lines().next());
    // It is counted like every view.
    let metrics = mounted.read("metrics");
    assert!(metrics.contains("proc/site/limits"), "{metrics}");
    let config = mounted.root().with_file_name("config.toml");
    let views = printed(&vistafs(&[
        "views",
        "--json",
        "--config",
        config.to_str().unwrap(),
    ]));
    let views: serde_json::Value = serde_json::from_str(&views).unwrap();
    let view = views
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "site-limits");
    let from = view.unwrap()["from"].as_str().unwrap();
    assert!(from.ends_with("config.toml:1"), "{from}");
}

#[test]
fn a_command_has_nothing_of_what_vistafs_may() {
    require_privileged!();
    let script = "id -u; id -G | wc -w; grep -E \"^(NoNewPrivs|CapEff|CapPrm|CapInh|CapAmb)\" /proc/self/status; \
                  cat /proc/self/oom_score_adj; pwd; ls -l /proc/$$/fd | grep -Ec \"fuse|socket|memfd|anon\"; env | grep -c ^VISTAFS_";
    let mounted = mounted(command("own", script, ""));
    let text = mounted.read("proc/site/own");
    let words: Vec<_> = text
        .lines()
        .map(|line| line.split_whitespace().last().unwrap())
        .collect();
    let nobody = printed(&Command::new("id").args(["-u", "nobody"]).output().unwrap());
    assert_eq!(words[..2], [nobody.trim(), "1"], "{text}");
    for line in text.lines().filter(|line| line.starts_with("Cap")) {
        assert!(line.ends_with("0000000000000000"), "{text}");
    }
    assert!(text.contains("NoNewPrivs:\t1"), "{text}");
    assert_eq!(
        words[words.len() - 4..words.len() - 2],
        ["0", "/"],
        "{text}"
    );
    // It inherits no descriptor of vistafs.
    assert_eq!(words[words.len() - 2], "0", "{text}");
    assert!(
        words[words.len() - 1].parse::<u32>().unwrap() > 10,
        "{text}"
    );
}

#[test]
fn what_is_wrong_with_a_command_is_an_error_to_the_reader() {
    require_privileged!();
    let config = [
        "[fuse]\nthreads = 1\n".to_owned(),
        command("empty", ":", ""),
        command(
            "failing",
            "echo lost; echo no way >&2; exit 3",
            "cache_ms = 60000",
        ),
        command(
            "long",
            "echo $$ >&2; exec cat /dev/zero",
            "cache_ms = 60000\nmax_bytes = 1000",
        ),
        command(
            "endless",
            "echo a; sleep 1000",
            "cache_ms = 60000\ntimeout_ms = 8000",
        ),
    ];
    let mut mounted = mounted(config.concat());
    assert_eq!(mounted.read("proc/site/empty"), "");
    let cgroup = TestCgroup::new();
    for name in ["failing", "long"] {
        for path in [
            format!("proc/site/{name}"),
            cgroup.address(&format!("proc/site/{name}")),
        ] {
            assert_eq!(
                errno(&mounted.path(&path)),
                Some(Errno::EIO as i32),
                "{path}"
            );
        }
    }
    // A caller that waits for an endless command does not block others, even with one serving thread.
    let endless = mounted.path("proc/site/endless");
    let waits = std::thread::spawn(move || (Instant::now(), errno(&endless), Instant::now()));
    let began = Instant::now();
    let mut reads = 0;
    while !waits.is_finished() {
        assert!(mounted.read("proc/meminfo").starts_with("MemTotal:"));
        reads += 1;
    }
    let (from, errno_of, to) = waits.join().unwrap();
    assert_eq!(errno_of, Some(Errno::EIO as i32));
    assert!((to - from) > Duration::from_millis(7900), "{:?}", to - from);
    assert!(reads > 20, "{reads} reads in {:?}", began.elapsed());
    // The command is not restarted immediately.
    let began = Instant::now();
    assert_eq!(
        errno(&mounted.path("proc/site/endless")),
        Some(Errno::EIO as i32)
    );
    assert!(began.elapsed() < Duration::from_millis(6000));
    let (status, messages) = mounted.end(nix::sys::signal::Signal::SIGTERM);
    assert!(status.success(), "{messages}");
    for expected in [
        "exit status: 3: no way",
        "prints more than 1000 bytes",
        "takes too long",
    ] {
        assert!(messages.contains(expected), "{expected}: {messages}");
    }
}

#[test]
fn how_often_a_command_runs_does_not_depend_on_readers() {
    require_privileged!();
    let dir = tempfile::tempdir().unwrap();
    let ran = dir.path().join("ran");
    std::fs::write(&ran, "").unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode;
    std::fs::set_permissions(dir.path(), open(0o755)).unwrap();
    std::fs::set_permissions(&ran, open(0o666)).unwrap();
    let script = format!("echo $VISTAFS_CONTAINER_NAME >> {}; echo $$", ran.display());
    let mounted = mounted(command("one", &script, "cache_ms = 60000"));
    let (a, b) = (TestCgroup::new(), TestCgroup::new());
    let paths = [&a, &b].map(|cgroup| mounted.path(&cgroup.address("proc/site/one")));
    let texts = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..20)
            .map(|at| {
                let path = &paths[at % 2];
                scope.spawn(move || std::fs::read_to_string(path).unwrap())
            })
            .collect();
        readers
            .into_iter()
            .map(|reader| reader.join().unwrap())
            .collect::<Vec<_>>()
    });
    for of in [0, 1] {
        assert!(
            texts
                .iter()
                .skip(of)
                .step_by(2)
                .all(|text| *text == texts[of]),
            "{texts:?}"
        );
    }
    assert_ne!(texts[0], texts[1]);
    let ran = std::fs::read_to_string(&ran).unwrap();
    assert_eq!(ran.lines().count(), 2, "{ran}");
}

#[test]
fn sources_that_are_no_files_are_errors_and_hold_nobody_up() {
    require_privileged!();
    let dir = tempfile::tempdir().unwrap();
    let made = |name: &str| dir.path().join(name);
    let _ = printed(&Command::new("mkfifo").arg(made("fifo")).output().unwrap());
    std::fs::create_dir(made("directory")).unwrap();
    std::fs::write(made("text"), "first\n").unwrap();
    std::os::unix::fs::symlink("text", made("link")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", made("device")).unwrap();
    let file = |name: &str, source: &Path| {
        format!(
            "[[file]]\npath = \"sys/site/{name}\"\nsource = \"{}\"\n",
            source.display()
        )
    };
    let names = ["fifo", "directory", "text", "link", "device", "missing"];
    let mut config: String = names.map(|name| file(name, &made(name))).concat();
    // A file whose source is itself.
    config += "[fuse]\nthreads = 1\n";
    let own = made("own");
    config += &file("own", &own);
    let mounted = mounted(config);
    std::os::unix::fs::symlink(mounted.path("sys/site/own"), &own).unwrap();
    let read = |name: &str| std::fs::read_to_string(mounted.path(&format!("sys/site/{name}")));
    assert_eq!(read("text").unwrap(), "first\n");
    assert_eq!(read("link").unwrap(), "first\n");
    for name in ["fifo", "directory", "device", "own"] {
        let error = read(name).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::EIO as i32), "{name}");
    }
    assert_eq!(read("missing").unwrap_err().kind(), ErrorKind::NotFound);
    std::fs::remove_file(made("text")).unwrap();
    assert_eq!(read("link").unwrap_err().kind(), ErrorKind::NotFound);
    std::fs::write(made("text"), "second\n").unwrap();
    assert_eq!(read("link").unwrap(), "second\n");
}

#[test]
fn a_file_replaces_a_built_in_view_where_that_is_configured() {
    require_privileged!();
    let mounted = mounted(
        "[views]\nreplace = [\"proc/uptime\"]\n[[file]]\npath = \"proc/uptime\"\nmode = 0o400\n\
         text = \"{{ container.name }}\\n\"\n"
            .to_owned(),
    );
    assert_eq!(mounted.read("proc/uptime"), "host\n");
    let cgroup = TestCgroup::new();
    let name = cgroup.path().file_name().unwrap().to_str().unwrap();
    let script = format!("cat {}", mounted.path("proc/uptime").display());
    assert_eq!(
        TestContainer::new(&mounted, &cgroup).run(&script),
        format!("{name}\n")
    );
    let denied = Command::new("setpriv")
        .args(["--reuid", "65534", "--clear-groups", "cat"])
        .arg(mounted.path("proc/uptime"))
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&denied.stderr).contains("Permission denied"));
}

/// proc_pid_status(5): whether the kernel may give a process huge pages.
#[test]
fn a_command_may_have_the_huge_pages_that_the_worker_does_without() {
    const HUGE: &str = "THP_enabled:";
    require_privileged!();
    let mounted = mounted(command("status", "cat /proc/self/status", ""));
    assert_eq!(field(&mounted.read("proc/site/status"), HUGE), 1);
    let worker = std::fs::read_to_string(format!("/proc/{}/status", mounted.pid()));
    assert_eq!(field(&worker.unwrap(), HUGE), 0);
}
