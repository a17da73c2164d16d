//! The configuration file.
//!
//! `contrib/vistafs.toml` lists all keys. It is generated from this code: each section requests its
//! keys from `reader.rs`, with a default and a one-line summary. Every error is reported with its
//! line. The default file is optional.
//!
//! | file | owns |
//! |---|---|
//! | `reader.rs` | reads key by key: values, origins, errors |
//! | `setting.rs` | the types of values |
//! | `sections.rs` | `[memory]`, `[cpus]`, `[host]`, `[fuse]`, `[worker]`, `[plugins]`, `[runtime]`, `[nri]` |
//! | `views.rs` | `[views]`, `[view.NAME]` |
//! | `files.rs` | `[[file]]` |
//! | `example.rs` | the example with every key |

mod example;
mod files;
mod reader;
mod sections;
mod setting;
mod views;

use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use vistafs_view::{Outside, Policy, RegistryError, Selection};

pub use example::example;
use files::Files;
use reader::Reader;
pub use reader::{Entry, Origin, Problem};
use sections::{Fuse, Host, PageCache, Plugins, Worker};
pub use sections::{Nri, Runtime};
use views::Views;

/// The path without `--config`.
const DEFAULT_PATH: &str = "/etc/vistafs/config.toml";
/// The default of `plugin_dirs`.
pub const DEFAULT_PLUGINS: &str = "/usr/lib/vistafs/plugins";
/// Maximum length in bytes. The supervisor sends the text to each new worker in one message.
const LARGEST: usize = 64 << 10;

/// A parsed configuration.
#[derive(Debug)]
pub struct Config {
    path: PathBuf,
    text: String,
    plugin_dirs: Vec<PathBuf>,
    views: Views,
    policy: Policy,
    host: Host,
    page_cache: PageCache,
    fuse: Fuse,
    worker: Worker,
    plugins: Plugins,
    runtime: Runtime,
    nri: Nri,
    files: Vec<Outside>,
    entries: Vec<Entry>,
}

impl Config {
    /// Reads the file `asked`, which must exist, or the default file, which is optional.
    ///
    /// # Errors
    /// The first problem, with its line; or the file cannot be read or trusted.
    pub fn read(asked: Option<&Path>) -> anyhow::Result<Self> {
        let text = text_of(asked)?;
        Self::of_text(asked, text)
    }

    /// Parses a text that was read from the file `asked` earlier. Users and programs that have been
    /// removed since then are accepted: only the custom file that needs them fails.
    ///
    /// # Errors
    /// The first problem, with its line.
    pub fn of_text(asked: Option<&Path>, text: String) -> anyhow::Result<Self> {
        let path = asked.unwrap_or(Path::new(DEFAULT_PATH));
        Self::one_line(asked, Self::parse(path, text, false))
    }

    /// Reads the file before serving. The users and programs that it names must exist.
    ///
    /// # Errors
    /// Like [`read`](Self::read).
    pub fn read_to_serve(asked: Option<&Path>) -> anyhow::Result<Self> {
        Self::one_line(asked, Self::look_at(asked)?)
    }

    fn one_line(asked: Option<&Path>, read: Result<Self, Vec<Problem>>) -> anyhow::Result<Self> {
        let path = asked.unwrap_or(Path::new(DEFAULT_PATH));
        read.map_err(|problems| {
            let first = problems.first().map(Problem::to_string);
            let mut why = format!("{}: {}", path.display(), first.unwrap_or_default());
            if problems.len() > 1 {
                let others = problems.len() - 1;
                why += &format!("; and {others} more (vistafs config check lists them)");
            }
            anyhow::anyhow!(why)
        })
    }

    /// Returns all problems of a file that can be found without the views.
    ///
    /// # Errors
    /// If the file cannot be read or trusted.
    pub fn look_at(asked: Option<&Path>) -> anyhow::Result<Result<Self, Vec<Problem>>> {
        let path = asked.unwrap_or(Path::new(DEFAULT_PATH));
        Ok(Self::parse(path, text_of(asked)?, true))
    }

    /// `here`: the users and programs that it names must exist on this machine.
    fn parse(path: &Path, text: String, here: bool) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::new(&text);
        let plugin_dirs = reader.get(
            "plugin_dirs",
            vec![PathBuf::from(DEFAULT_PLUGINS)],
            "directories with plugins",
        );
        let views = Views::read(&mut reader);
        let policy = sections::policy(&mut reader);
        let host = Host::read(&mut reader);
        let page_cache = PageCache::read(&mut reader);
        let fuse = Fuse::read(&mut reader);
        let worker = Worker::read(&mut reader);
        let plugins = Plugins::read(&mut reader);
        let runtime = Runtime::read(&mut reader);
        let nri = Nri::read(&mut reader);
        let files = Files::read(&mut reader, path);
        files.check_times(&mut reader, worker.stuck_seconds);
        if here {
            files.check_here(&mut reader);
        }
        reader.end();
        let (entries, problems) = (reader.entries, reader.problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            path: path.to_owned(),
            plugin_dirs,
            views,
            policy,
            host,
            page_cache,
            fuse,
            worker,
            plugins,
            runtime,
            nri,
            files: files.views,
            entries,
            text,
        })
    }

    /// Returns the path without `--config`.
    pub fn default_path() -> String {
        DEFAULT_PATH.to_owned()
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the text of the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns every key except the options of views.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the sections `[views]` and `[view.NAME]`.
    pub fn selection(&self) -> &Selection {
        &self.views.selection
    }

    /// Converts an error of the registry; adds the line that caused it.
    pub fn located(&self, error: &RegistryError) -> anyhow::Error {
        let line = self.views.line_of(error);
        let why = error.to_string();
        anyhow::anyhow!("{}: {}", self.path.display(), Problem { line, why })
    }

    /// Returns the directories with plugins. Only directories named in the file must exist.
    pub fn plugin_dirs(&self) -> &[PathBuf] {
        &self.plugin_dirs
    }

    /// Returns the timeout of a plugin's call: at most a quarter of `stuck_seconds`, so that a few
    /// calls in a row do not get the worker restarted.
    pub fn plugin_timeout(&self) -> Duration {
        let wanted = Duration::from_millis(self.plugins.timeout_ms.get().into());
        match self.worker.stuck_seconds {
            0 => wanted,
            seconds => wanted.min(Duration::from_secs(seconds.into()) / 4),
        }
    }

    /// Returns the maximum length of the contents that a plugin renders, in bytes.
    pub fn plugin_max_bytes(&self) -> usize {
        usize::try_from(self.plugins.max_bytes.get()).unwrap_or(usize::MAX)
    }

    /// Returns where an option of a view was set.
    pub fn origin_of(&self, view: &str, option: &str) -> Origin {
        self.views.origin_of(view, option)
    }

    /// Returns the section `[runtime]`.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Returns which pods `vistafs nri` adds the views to.
    pub fn nri(&self) -> &Nri {
        &self.nri
    }

    /// Returns the custom files.
    pub fn files(&self) -> &[Outside] {
        &self.files
    }

    /// Returns the settings of all views.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Returns the TTL of host files that containers share.
    pub fn host_ttl(&self) -> Duration {
        Duration::from_millis(self.host.ttl_ms)
    }

    /// Returns the TTL of a container's own files in the page cache; zero disables page caching.
    pub fn page_cache_ttl(&self) -> Duration {
        Duration::from_millis(self.page_cache.ttl_ms.get())
    }

    /// Returns after how many seconds without progress of a request the worker is restarted; 0: never.
    pub fn stuck_seconds(&self) -> u64 {
        self.worker.stuck_seconds.into()
    }

    /// Returns the number of serving threads: at least two by default, so that one slow read does not
    /// block all other containers.
    pub fn threads(&self) -> usize {
        match self.fuse.threads {
            Some(threads) => usize::from(threads.get()),
            None => std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8)),
        }
    }
}

/// Reads the file. It must be writable only by root or the user that runs vistafs, as its commands and
/// plugins run with the rights of vistafs.
fn read(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let found = file.metadata()?;
    let (owner, us) = (found.uid(), rustix::process::geteuid().as_raw());
    let refused = |why: String| Err(std::io::Error::new(ErrorKind::PermissionDenied, why));
    let shown = path.display();
    if owner != 0 && owner != us {
        return refused(format!("it belongs to user {owner} (chown root {shown})"));
    }
    if found.is_file() && found.mode() & 0o022 != 0 {
        return refused(format!(
            "it is writable by group or others (chmod go-w {shown})"
        ));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

fn text_of(asked: Option<&Path>) -> anyhow::Result<String> {
    let path = asked.unwrap_or(Path::new(DEFAULT_PATH));
    match read(path) {
        Ok(text) if text.len() > LARGEST => {
            bail!("{}: larger than {LARGEST} bytes", path.display())
        }
        Ok(text) => Ok(text),
        Err(error) if asked.is_none() && error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => {
            Err(error).with_context(|| format!("cannot read the configuration {}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests;
