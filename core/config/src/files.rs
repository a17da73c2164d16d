//! `[[file]]`: custom files.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::{DeTable, DeValue};
use vistafs_custom::{CgroupFile, Command, CommandSpec, Content, CustomFile, HostFile, Template};
use vistafs_view::{Origin as ViewOrigin, Outside};

use super::reader::{Found, Origin, Reader, Section};
use super::setting::{Setting, whole};

/// The kinds of contents; each table has exactly one.
const CONTENTS: [&str; 4] = ["text", "source", "cgroup", "command"];
/// Upper limit of `max_bytes`.
const LARGEST: u64 = 16 << 20;

/// The part of the example about custom files.
pub(super) const EXAMPLE: &str = "
# Custom files, one table for each (contrib/doc/CUSTOM_FILES.md): a path below proc/ or sys/, and one of
# text, source, cgroup, command.
# [[file]]
# path = \"proc/site/limits\"
# name = \"site-limits\"     # name of the view; default: derived from the path
# mode = 0o444             # permissions
# text = \"memory {{ memory.limit | mib }} MiB, {{ cpu.count }} CPUs\\n\"

# [[file]]
# path = \"proc/site/interrupts\"
# source = \"/proc/interrupts\"
# cpus = true              # show containers only their own CPUs; default: false
# max_bytes = 1048576      # a larger file is an error

# [[file]]
# path = \"proc/site/memory-peak\"
# cgroup = { v1 = \"memory/memory.max_usage_in_bytes\", v2 = \"memory.peak\" }
# max_bytes = 1048576      # a larger file is an error

# [[file]]
# path = \"proc/site/report\"
# command = [\"/bin/echo\", \"hello\"]
# user = \"nobody\"          # the user that runs it; never root
# timeout_ms = 1000        # then its process group is killed
# max_bytes = 65536        # also if it prints more than this
# cache_ms = 5000          # TTL of its output
";

/// All custom files, and the commands among them.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) views: Vec<Outside>,
    commands: Vec<Named>,
}

/// A command and its line.
#[derive(Debug)]
struct Named {
    line: usize,
    timeout_ms: u64,
    user: String,
    program: PathBuf,
}

impl Files {
    pub(super) fn read(reader: &mut Reader<'_>, path: &std::path::Path) -> Self {
        let mut files = Self::default();
        for (table, line) in reader.list("file") {
            let section = Section::new(reader, "file".to_owned(), table, line);
            let view = files.file(section, path);
            files.views.extend(view);
        }
        files
    }

    /// Checks the sum of all timeouts: a reader may wait for the commands one after the other, which
    /// must not get the worker restarted.
    pub(super) fn check_times(&self, reader: &mut Reader<'_>, stuck_seconds: u32) {
        let all: u64 = self.commands.iter().map(|one| one.timeout_ms).sum();
        let most = u64::from(stuck_seconds) * 500;
        if let Some(last) = self.commands.last()
            && stuck_seconds > 0
            && all > most
        {
            let why = format!(
                "`file.timeout_ms` of all commands together is {all} ms; it may be {most}, half of \
                 `worker.stuck_seconds`"
            );
            reader.problem(last.line, why);
        }
    }

    /// Checks that users and programs exist.
    pub(super) fn check_here(&self, reader: &mut Reader<'_>) {
        for one in &self.commands {
            if let Err(why) = vistafs_custom::check_command(&one.user, &one.program) {
                reader.problem(one.line, format!("`file.command`: {why}"));
            }
        }
    }

    /// `None`: errors were recorded.
    fn file(&mut self, mut section: Section<'_, '_>, file: &std::path::Path) -> Option<Outside> {
        let line = section.line;
        let (path, path_origin) = section.set::<String>("path");
        let (name, _) = section.set::<String>("name");
        let mode = mode(&mut section);
        let contents = CONTENTS.map(|key| Some((key, section.found(key)?)));
        let mut contents: Vec<_> = contents.into_iter().flatten().collect();
        let found = (contents.len() == 1).then(|| contents.remove(0));
        let content = match found {
            Some((key, found)) => self.content(&mut section, key, found),
            None => {
                let why = "a [[file]] has one of `text`, `source`, `cgroup`, `command`".to_owned();
                section.reader.problem(line, why);
                // These keys are valid with one kind of contents: do not report them as unknown.
                for key in ["cpus", "user", "timeout_ms", "max_bytes", "cache_ms"] {
                    let _ = section.found(key);
                }
                None
            }
        };
        if path.is_none() && path_origin == Origin::Default {
            let why = "a [[file]] has a `path`, such as \"proc/site\"".to_owned();
            section.reader.problem(line, why);
        }
        let origin = ViewOrigin::Configuration {
            file: file.to_owned(),
            line,
        };
        let view = path.zip(content).and_then(|(path, content)| {
            let made = CustomFile::view(name, &path, mode, content, origin);
            made.map_err(|refusal| section.reader.problem(line, format!("[[file]] {refusal}")))
                .ok()
        });
        section.end();
        view
    }

    fn content(
        &mut self,
        section: &mut Section<'_, '_>,
        key: &'static str,
        found: Found<'_>,
    ) -> Option<Content> {
        let line = found.line;
        let content = match key {
            "text" => text(section, &found).map(Content::Text),
            "source" => source(section, &found).map(Content::Source),
            "cgroup" => cgroup(section, &found).map(Content::Cgroup),
            _ => self.command(section, &found).map(Content::Command),
        };
        content
            .map_err(|(at, why)| section.reader.problem(at.unwrap_or(line), why))
            .ok()
    }

    fn command(
        &mut self,
        section: &mut Section<'_, '_>,
        found: &Found<'_>,
    ) -> Result<Command, (Option<usize>, String)> {
        let argv = Vec::<String>::read(&found.value);
        let (user, user_origin) = section.set::<String>("user");
        let timeout_ms = number(section, "timeout_ms", 1000, 1..=60_000);
        let max_bytes = number(section, "max_bytes", 64 << 10, 1..=LARGEST);
        let cache_ms = number(section, "cache_ms", 5000, 100..=86_400_000);
        let argv = argv.filter(|argv| argv.first().is_some_and(|one| one.starts_with('/')));
        let takes = "`file.command` takes a list: an absolute path, and arguments";
        let argv = argv.ok_or_else(|| (None, takes.to_owned()))?;
        if argv.iter().any(|word| word.contains('\0')) {
            return Err((None, "`file.command` has a zero byte".into()));
        }
        let told = |line| {
            let why = "a command has a `user` that runs it, such as \"nobody\"; never root";
            (line, why.to_owned())
        };
        let user = match (user, user_origin) {
            (Some(user), Origin::Line(line)) if user == "root" => return Err(told(Some(line))),
            (Some(user), _) => user,
            // A wrong type, which was reported already.
            (None, Origin::Line(line)) => return Err(told(Some(line))),
            (None, Origin::Default) => return Err(told(None)),
        };
        self.commands.push(Named {
            line: found.line,
            timeout_ms,
            user: user.clone(),
            program: argv.first().map(PathBuf::from).unwrap_or_default(),
        });
        let guard: [OsString; 5] =
            ["/proc/self/exe", "command-guard", "--user", &user, "--"].map(OsString::from);
        let spec = CommandSpec {
            argv,
            user,
            timeout: Duration::from_millis(timeout_ms),
            max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
            cache: Duration::from_millis(cache_ms),
        };
        Ok(Command::new(spec, guard.to_vec()))
    }
}

/// Reads permissions: `0o444`, or `"0444"` as in chmod(1).
fn mode(section: &mut Section<'_, '_>) -> u16 {
    const DEFAULT: u16 = 0o444;
    let Some(found) = section.found("mode") else {
        return DEFAULT;
    };
    let mode = match &found.value {
        DeValue::Integer(number) => whole(number).and_then(|number| u16::try_from(number).ok()),
        DeValue::String(text) => u16::from_str_radix(text, 8).ok(),
        _ => None,
    };
    mode.unwrap_or_else(|| {
        let why = "`file.mode` takes permissions, such as 0o444 or \"0444\"".to_owned();
        section.reader.problem(found.line, why);
        DEFAULT
    })
}

fn number(
    section: &mut Section<'_, '_>,
    key: &'static str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> u64 {
    let (set, origin) = section.set::<u64>(key);
    let value = set.unwrap_or(default);
    if let (Origin::Line(line), false) = (origin, range.contains(&value)) {
        let why = format!("`file.{key}` takes {} to {}", range.start(), range.end());
        section.reader.problem(line, why);
    }
    value
}

type Refused = (Option<usize>, String);

fn text(section: &Section<'_, '_>, found: &Found<'_>) -> Result<Template, Refused> {
    let Some(text) = String::read(&found.value) else {
        return Err((None, format!("`file.text` takes {}", String::TAKES)));
    };
    Template::parse(&text).map_err(|error| {
        // A multi-line string begins after its quotes, or on the next line if they end a line.
        let start = section.reader.text_from(found.at);
        let is_below = ["\"\"\"\n", "'''\n", "\"\"\"\r\n", "'''\r\n"]
            .iter()
            .any(|quotes| start.starts_with(quotes));
        let is_long = start.starts_with("\"\"\"") || start.starts_with("'''");
        let within = if is_long { error.line } else { 0 };
        let line = section.reader.line(found.at) + usize::from(is_below) + within;
        (Some(line), format!("`file.text`: {}", error.why))
    })
}

fn source(section: &mut Section<'_, '_>, found: &Found<'_>) -> Result<HostFile, Refused> {
    let path = PathBuf::read(&found.value).filter(|path| path.is_absolute());
    let path = path.ok_or_else(|| {
        (
            None,
            "`file.source` takes an absolute path in quotes".into(),
        )
    })?;
    let (cpus, _) = section.set("cpus");
    let max_bytes = number(section, "max_bytes", 1 << 20, 1..=LARGEST);
    Ok(HostFile {
        path,
        cpus: cpus.unwrap_or(false),
        max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
    })
}

fn cgroup(section: &mut Section<'_, '_>, found: &Found<'_>) -> Result<CgroupFile, Refused> {
    let max_bytes = number(section, "max_bytes", 1 << 20, 1..=LARGEST);
    let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
    let made = match &found.value {
        DeValue::String(file) => CgroupFile::alike(file, max_bytes),
        DeValue::Table(files) => both(files)
            .and_then(|(v1, v2)| CgroupFile::new(v1.as_deref(), v2.as_deref(), max_bytes)),
        _ => Err("takes a name, or { v1 = \"CONTROLLER/FILE\", v2 = \"FILE\" }".into()),
    };
    made.map_err(|why| (None, format!("`file.cgroup`: {why}")))
}

fn both(files: &DeTable<'_>) -> Result<(Option<String>, Option<String>), String> {
    let (mut v1, mut v2) = (None, None);
    for (key, value) in files {
        let slot = match key.get_ref().as_ref() {
            "v1" => &mut v1,
            "v2" => &mut v2,
            other => return Err(format!("has no {other:?}; it takes v1 and v2")),
        };
        let name = String::read(value.get_ref());
        *slot = Some(name.ok_or("names files in quotes")?);
    }
    Ok((v1, v2))
}
