//! The implementation for a program with plugins.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use vistafs_host::{Inherited, spawn};
use vistafs_plugin_host::{Limits, Rules, Watch, load};
use vistafs_view::{Origin, OutsideViews, Refusal, Selection};

use super::Loader;
use vistafs_config::{Config, DEFAULT_PLUGINS};
use vistafs_supervisor::link::Word;
use vistafs_supervisor::plugins::{LeftOut, PluginFile};

/// The required owner of plugins.
const ROOT: u32 = 0;
/// Timeout for testing a file.
const TO_LOAD: Duration = Duration::from_secs(10);

/// Returns the views of all plugins in the configured directories.
pub(crate) fn views(config: &Config, selection: &Selection, loader: Loader<'_>) -> OutsideViews {
    let is_wanted = |path: &&PathBuf| path.as_path() != Path::new(DEFAULT_PLUGINS) || path.exists();
    let directories: Vec<PathBuf> = config
        .plugin_dirs()
        .iter()
        .filter(is_wanted)
        .cloned()
        .collect();
    let watcher = Watcher {
        loader,
        config,
        told: RefCell::default(),
    };
    let found = load(
        &directories,
        &Rules {
            owner: ROOT,
            limits: limits(config),
            selection,
            watch: &watcher,
        },
    );
    let told = watcher.told.into_inner();
    let refusal = |refused: vistafs_plugin_host::Refused| Refusal {
        is_told: told.contains(&refused.file),
        origin: Origin::Plugin(refused.file),
        why: refused.why,
    };
    OutsideViews {
        views: found.views,
        refused: found.refused.into_iter().map(refusal).collect(),
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        timeout: config.plugin_timeout(),
        most_text: config.plugin_max_bytes(),
    }
}

/// Observes the loading of files.
struct Watcher<'w> {
    loader: Loader<'w>,
    config: &'w Config,
    /// Files about which another process has logged already.
    told: RefCell<Vec<PathBuf>>,
}

impl Watcher<'_> {
    fn not_left_out(&self, file: &PluginFile, left_out: &[LeftOut]) -> Result<(), String> {
        match left_out.iter().find(|one| one.file == *file) {
            None => Ok(()),
            Some(one) => {
                self.told.borrow_mut().push(PathBuf::from(&file.path));
                Err(one.to_string())
            }
        }
    }

    fn say(&self, file: Option<PluginFile>) {
        if let Loader::Worker { link, .. } = self.loader
            && let Err(errno) = link.say(&Word::Loading { file })
        {
            log::debug!("the supervisor does not hear what is loaded: {errno}");
        }
    }
}

impl Watch for Watcher<'_> {
    fn before(&self, path: &Path, mark: &str) -> Result<(), String> {
        let file = PluginFile {
            path: path.to_string_lossy().into_owned(),
            mark: mark.to_owned(),
        };
        match self.loader {
            Loader::Worker { left_out, .. } => {
                self.not_left_out(&file, left_out)?;
                self.say(Some(file));
                Ok(())
            }
            Loader::Command { left_out } => {
                self.not_left_out(&file, left_out)?;
                tried(path, self.config)
            }
            Loader::Trial => Ok(()),
        }
    }

    fn after(&self) {
        self.say(None);
    }
}

/// Tests a file in another process: `Err` if it ends that process.
fn tried(file: &Path, config: &Config) -> Result<(), String> {
    let mut command = Command::new("/proc/self/exe");
    if config.path().exists() {
        command.arg("--config").arg(config.path());
    }
    command
        .arg("try-plugin")
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let cannot = |error: std::io::Error| format!("it cannot be tried: {error}");
    let mut child = spawn(command, Inherited::default()).map_err(cannot)?;
    let deadline = Instant::now() + TO_LOAD;
    loop {
        match child.try_wait().map_err(cannot)? {
            Some(status) if std::os::unix::process::ExitStatusExt::signal(&status).is_some() => {
                return Err(format!("it ends whoever loads it ({status})"));
            }
            // Other errors are reported when the file is loaded.
            Some(_) => return Ok(()),
            None if Instant::now() >= deadline => {
                let _ = child.kill();
                let _ = child.wait();
                let seconds = TO_LOAD.as_secs();
                return Err(format!("loading it takes longer than {seconds} s"));
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Loads one file only: a crash ends this process.
pub(crate) fn try_plugin(file: &Path, config: &Config) -> anyhow::Result<u8> {
    let directory = file.parent().context("a file in a directory")?;
    let name = file.file_name().unwrap_or(OsStr::new(""));
    let watcher = Watcher {
        loader: Loader::Trial,
        config,
        told: RefCell::default(),
    };
    let only = Only { watcher, name };
    let rules = Rules {
        owner: ROOT,
        limits: limits(config),
        selection: config.selection(),
        watch: &only,
    };
    let _ = load(&[directory.to_owned()], &rules);
    Ok(0)
}

/// Returns a file in one of the directories.
struct Only<'o> {
    watcher: Watcher<'o>,
    name: &'o OsStr,
}

impl Watch for Only<'_> {
    fn before(&self, file: &Path, mark: &str) -> Result<(), String> {
        if file.file_name() != Some(self.name) {
            return Err("it is not the one that is tried".into());
        }
        self.watcher.before(file, mark)
    }

    fn after(&self) {}
}
