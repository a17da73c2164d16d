//! The configuration file.
//!
//! What can be in it is in `contrib/vistafs.toml`, which is made from the code here: a section asks
//! the [`reader`] for its keys, each with its default and a line for people. Every mistake is told
//! with its line; the default file need not exist.
//!
//! | file | owns |
//! |---|---|
//! | `reader.rs` | reading key by key: values, origins, mistakes |
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

pub(crate) use example::example;
use files::Files;
use reader::Reader;
pub(crate) use reader::{Entry, Mistake, Origin};
use sections::{Fuse, Host, PageCache, Plugins, Worker};
pub(crate) use sections::{Nri, Runtime};
use views::Views;

/// Where it is looked for.
const DEFAULT_PATH: &str = "/etc/vistafs/config.toml";
/// Where plugins are looked for when nothing is said.
pub(crate) const DEFAULT_PLUGINS: &str = "/usr/lib/vistafs/plugins";
/// It is kept for workers that are started later, and sent to them in one message.
const LARGEST: usize = 64 << 10;

/// The whole configuration.
#[derive(Debug)]
pub(crate) struct Config {
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
    /// Reads the file that was asked for, which must be there, or the default one, which need not.
    pub(crate) fn read(asked: Option<&Path>) -> anyhow::Result<Self> {
        let text = text_of(asked)?;
        Self::of_text(asked, text)
    }

    /// The same of a text that was read before. What has changed on the machine since then, such as a
    /// user that is gone, concerns the file that needs it and no other.
    pub(crate) fn of_text(asked: Option<&Path>, text: String) -> anyhow::Result<Self> {
        let path = asked.unwrap_or(Path::new(DEFAULT_PATH));
        Self::one_line(asked, Self::parse(path, text, false))
    }

    /// Reads the file for somebody who begins to serve by it: what it names has to be there.
    pub(crate) fn read_to_serve(asked: Option<&Path>) -> anyhow::Result<Self> {
        Self::one_line(asked, Self::look_at(asked)?)
    }

    fn one_line(asked: Option<&Path>, read: Result<Self, Vec<Mistake>>) -> anyhow::Result<Self> {
        let path = asked.unwrap_or(Path::new(DEFAULT_PATH));
        read.map_err(|mistakes| {
            let first = mistakes.first().map(Mistake::to_string);
            let mut why = format!("{}: {}", path.display(), first.unwrap_or_default());
            if mistakes.len() > 1 {
                let others = mistakes.len() - 1;
                why += &format!("; and {others} more (vistafs config check lists them)");
            }
            anyhow::anyhow!(why)
        })
    }

    /// All that is wrong with a file, as far as it can be told without the views.
    pub(crate) fn look_at(asked: Option<&Path>) -> anyhow::Result<Result<Self, Vec<Mistake>>> {
        let path = asked.unwrap_or(Path::new(DEFAULT_PATH));
        Ok(Self::parse(path, text_of(asked)?, true))
    }

    /// `here`: what is named has to be on this machine.
    fn parse(path: &Path, text: String, here: bool) -> Result<Self, Vec<Mistake>> {
        let mut reader = Reader::new(&text);
        let plugin_dirs = reader.get(
            "plugin_dirs",
            vec![PathBuf::from(DEFAULT_PLUGINS)],
            "where plugins are looked for",
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
        let (entries, mistakes) = (reader.entries, reader.mistakes);
        if !mistakes.is_empty() {
            return Err(mistakes);
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

    /// Where it is looked for when nothing is said.
    pub(crate) fn default_path() -> String {
        DEFAULT_PATH.to_owned()
    }

    /// Where it is read from.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What was read.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Every key but the views' options.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What it says about views.
    pub(crate) fn selection(&self) -> &Selection {
        &self.views.selection
    }

    /// What the registry does not like, with the line where it is asked for.
    pub(crate) fn located(&self, error: &RegistryError) -> anyhow::Error {
        let line = self.views.line_of(error);
        let why = error.to_string();
        anyhow::anyhow!("{}: {}", self.path.display(), Mistake { line, why })
    }

    /// Where plugins are looked for. Only a directory that was named has to be there.
    pub(crate) fn plugin_dirs(&self) -> &[PathBuf] {
        &self.plugin_dirs
    }

    /// How long a call of a plugin is waited for: so short that a few of them, one after the other, do not
    /// have the worker taken for stuck.
    #[cfg_attr(
        any(not(feature = "plugins"), target_feature = "crt-static"),
        allow(dead_code, reason = "the file is the same, whatever is built")
    )]
    pub(crate) fn plugin_timeout(&self) -> Duration {
        let wanted = Duration::from_millis(self.plugins.timeout_ms.get().into());
        match self.worker.stuck_seconds {
            0 => wanted,
            seconds => wanted.min(Duration::from_secs(seconds.into()) / 4),
        }
    }

    /// How long a text of a plugin may be, bytes.
    #[cfg_attr(
        any(not(feature = "plugins"), target_feature = "crt-static"),
        allow(dead_code, reason = "the file is the same, whatever is built")
    )]
    pub(crate) fn plugin_max_bytes(&self) -> usize {
        usize::try_from(self.plugins.max_bytes.get()).unwrap_or(usize::MAX)
    }

    /// Where an option of a view was set.
    pub(crate) fn origin_of(&self, view: &str, option: &str) -> Origin {
        self.views.origin_of(view, option)
    }

    /// What `vistafs oci-runtime` executes, and what it requires.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Which pods `vistafs nri` gives the views to.
    pub(crate) fn nri(&self) -> &Nri {
        &self.nri
    }

    /// The files that it describes.
    pub(crate) fn files(&self) -> &[Outside] {
        &self.files
    }

    /// What holds for all views alike.
    pub(crate) fn policy(&self) -> Policy {
        self.policy
    }

    /// How old a shared text of the host may be.
    pub(crate) fn epoch(&self) -> Duration {
        Duration::from_millis(self.host.epoch_ms)
    }

    /// How long the kernel may serve a container's own files from its page cache.
    pub(crate) fn ttl(&self) -> Duration {
        Duration::from_millis(self.page_cache.ttl_ms.get())
    }

    /// How old a request may become before its worker is taken for stuck; 0: any age.
    pub(crate) fn stuck_seconds(&self) -> u64 {
        self.worker.stuck_seconds.into()
    }

    /// Serving threads. More than one, so that a container whose files are slow delays no other.
    pub(crate) fn threads(&self) -> usize {
        match self.fuse.threads {
            Some(threads) => usize::from(threads.get()),
            None => std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8)),
        }
    }
}

/// Reads the configuration, if nobody but root and whoever runs us can change it: what it says is done with the
/// rights of vistafs.
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
            "others than its owner may write to it (chmod go-w {shown})"
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
