//! Runs the examples of contrib/doc/SEMANTICS.md.
//!
//! A block fenced as `example` describes a small host, and the contents of its container's files. One
//! statement per line; a line that begins with `#` is a comment:
//!
//! ```text
//! v1|v2 FILE CGROUP = TEXT     a cgroup's file; `;` is a newline
//! host FIELD = N kB            a field of the host's /proc/meminfo
//! host PATH = TEXT             a file of the host, if PATH has a `/`; `;` is a newline
//! host cpus = LIST             the online CPUs
//! node N = N kB, cpus LIST     a NUMA node of the host
//! host now = SECONDS           time since boot
//! host last pid = N            the ID of the newest task
//! thread N = STATE M           a thread, with the ID M in its own pid namespace
//! container start = SECONDS    its start time, since boot
//! container cgroup = PATH      default: box/app
//! config KEY = TEXT            memory.swap or cpus.renumber, as in the configuration
//! shows VIEW LINE              the view, or a file in it, has this line (spaces are ignored); or a
//!                              link has this target
//! lacks VIEW WORD              no line of the view has this word
//! fails VIEW [ERROR]           reading the view fails, with this error
//! hides PATH                   the view lacks this name
//! ```

use rustix::io::Errno;
use vistafs_view::{Policy, ViewError};

use crate::captured::{Captured, cpu_list, workspace};
use crate::made_up::{Layout, MadeUp};

/// An example, with its first line in the document.
struct Example {
    line: usize,
    statements: Vec<String>,
}

fn examples(document: &str) -> Vec<Example> {
    let mut all: Vec<Example> = Vec::new();
    let mut inside = false;
    for (number, line) in (1..).zip(document.lines()) {
        if inside && line.trim() == "```" {
            inside = false;
        } else if line.trim() == "```example" {
            inside = true;
            all.push(Example {
                line: number,
                statements: Vec::new(),
            });
        } else if inside {
            let statement = line.trim();
            if !statement.is_empty() && !statement.starts_with('#') {
                all.last_mut()
                    .unwrap()
                    .statements
                    .push(statement.to_owned());
            }
        }
    }
    assert!(!inside, "the last example has no end");
    all
}

impl Example {
    /// Checks the example; the error describes the failure.
    fn run(&self) -> Result<(), String> {
        let after = |start: &str| {
            let mut found = self.statements.iter().filter_map(|s| s.strip_prefix(start));
            found.next().map(str::trim)
        };
        let cgroup = after("container cgroup =").unwrap_or("box/app");
        let mut host = MadeUp::new(&format!("/{}", cgroup.trim_start_matches('/')));
        let mut expectations = Vec::new();
        let mut policy = Policy::default();
        let mut nodes = Vec::new();
        for statement in &self.statements {
            let (verb, rest) = statement.split_once(' ').ok_or("a lonely word")?;
            match verb {
                "shows" | "lacks" | "fails" | "hides" => expectations.push((verb, rest)),
                "config" => configure(&mut policy, rest).ok_or("no such key")?,
                "node" => nodes.push(node(rest).ok_or(format!("what is {statement:?}?"))?),
                _ => set(&mut host, verb, rest).ok_or(format!("what is {statement:?}?"))?,
            }
        }
        if expectations.is_empty() {
            return Err("it shows nothing".to_owned());
        }
        let nodes: Vec<_> = nodes
            .iter()
            .map(|(n, kib, cpus)| (*n, *kib, &cpus[..]))
            .collect();
        if !nodes.is_empty() {
            host.set_nodes(&nodes);
        }
        let mut host = host.open();
        host.policy = policy;
        expectations
            .into_iter()
            .try_for_each(|(verb, rest)| check(&host, verb, rest))
    }
}

/// Sets a key of the configuration; `None`: unknown key.
fn configure(policy: &mut Policy, rest: &str) -> Option<()> {
    let (key, value) = rest.split_once('=')?;
    let value = value.trim().parse().ok()?;
    match key.trim() {
        "memory.swap" => policy.swap = value,
        "cpus.renumber" => policy.cpus.renumber = value,
        _ => return None,
    }
    Some(())
}

/// Carries out a statement about the host or its cgroups; `None`: not understood.
fn set(host: &mut MadeUp, verb: &str, rest: &str) -> Option<()> {
    let (what, value) = rest.split_once('=')?;
    let (what, value) = (what.trim(), value.trim());
    let text = |value: &str| -> String {
        let lines = value.split(';').map(|line| format!("{}\n", line.trim()));
        lines.collect()
    };
    let layout = match (verb, what) {
        ("host", path) if path.contains('/') => {
            host.write(path, text(value));
            return Some(());
        }
        ("host", "cpus") => {
            host.set_cpus(&cpu_list(value));
            return Some(());
        }
        ("host", "now") => {
            host.facts.boottime_ns = hundredths(value)? * 10_000_000;
            return Some(());
        }
        ("host", "last pid") => {
            host.set_last_pid(value.parse().ok()?);
            return Some(());
        }
        ("thread", tid) => {
            let (state, inside) = value.split_once(' ')?;
            let (tid, inside) = (tid.parse().ok()?, inside.parse().ok()?);
            host.set_thread(tid, state.parse().ok()?, inside);
            return Some(());
        }
        ("host", field) => {
            host.set_meminfo(field, value.strip_suffix(" kB")?.parse().ok()?);
            return Some(());
        }
        ("container", "start") => {
            host.facts.start_ticks = hundredths(value)?;
            return Some(());
        }
        ("container", "cgroup") => return Some(()),
        ("v1", _) => Layout::V1,
        ("v2", _) => Layout::V2,
        _ => return None,
    };
    let (file, cgroup) = what.split_once(' ')?;
    host.set(layout, cgroup.trim_start_matches('/'), file, &text(value));
    Some(())
}

/// `0 = 8388608 kB, cpus 0-1`.
fn node(text: &str) -> Option<(u32, u64, Vec<u32>)> {
    let (node, rest) = text.split_once('=')?;
    let (size, cpus) = rest.split_once(", cpus ")?;
    let kib = size.trim().strip_suffix(" kB")?.parse().ok()?;
    Some((node.trim().parse().ok()?, kib, cpu_list(cpus)))
}

/// `12.34` or `12`, as hundredths.
fn hundredths(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "00"));
    (decimals.len() == 2).then(|| format!("{whole}{decimals}").parse().ok())?
}

fn check(host: &Captured, verb: &str, rest: &str) -> Result<(), String> {
    let (view, line) = rest.split_once(' ').unwrap_or((rest, ""));
    let shown = host.try_show(view);
    match (verb, shown) {
        ("fails", Ok(text)) => Err(format!("{view} shows {}", String::from_utf8_lossy(&text))),
        ("fails", Err(error)) if error.to_string().starts_with(line) => Ok(()),
        ("fails", Err(error)) => Err(format!("{view} fails with {error:?}, not {line:?}")),
        ("hides", Err(ViewError::Answer(Errno::NOENT))) => Ok(()),
        ("hides", shown) => Err(format!("{view} is {shown:?}")),
        (_, Err(error)) => Err(format!("{view}: {error}")),
        (_, Ok(text)) => {
            let text = String::from_utf8_lossy(&text);
            let words = |line: &str| {
                line.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            let found = text.lines().any(|shown| words(shown) == words(line));
            if verb == "lacks" {
                let has = text.split_whitespace().any(|word| word == line);
                return if has {
                    Err(format!("{view} has {line:?}:\n{text}"))
                } else {
                    Ok(())
                };
            }
            let missing = || Err(format!("{view} does not show {line:?} but\n{text}"));
            if found { Ok(()) } else { missing() }
        }
    }
}

fn document() -> String {
    std::fs::read_to_string(workspace().join("contrib/doc/SEMANTICS.md")).unwrap()
}

#[test]
fn the_document_s_examples_are_true() {
    let examples = examples(&document());
    assert!(examples.len() >= 10, "only {} examples", examples.len());
    let mut wrong = String::new();
    for example in &examples {
        if let Err(error) = example.run() {
            wrong += &format!("SEMANTICS.md, line {}: {error}\n", example.line);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// A wrong example fails, and so does one that checks nothing.
#[test]
fn a_wrong_example_is_found_out() {
    let run = |text: &str| examples(&format!("```example\n{text}\n```\n"))[0].run();
    let limit = "v2 memory.max box/app = 1048576";
    let right = run(&format!("{limit}\nshows proc/meminfo MemTotal: 1024 kB"));
    assert_eq!(right, Ok(()));
    for wrong in [
        format!("{limit}\nshows proc/meminfo MemTotal: 1025 kB"),
        format!("{limit}\nfails proc/meminfo"),
        "fails proc/pressure/io No such device".to_owned(),
        format!("{limit}\nshown proc/meminfo MemTotal: 1024 kB"),
        limit.to_owned(),
        String::new(),
    ] {
        assert!(run(&wrong).is_err(), "{wrong}");
    }
}
