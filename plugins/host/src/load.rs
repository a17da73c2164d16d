//! From directories to views.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::fs::{Dir, fstat};
use vistafs_plugin_abi as abi;
use vistafs_view::{
    Context, Errno, OptionValue, Options, Origin, Outside, Provider, Selection, View, ViewError,
    ViewSpec,
};

use crate::call::Made;
use crate::file::File;
use crate::library;
use crate::plugin::Loaded;
use crate::record::Record;
use crate::table::{Data, copy, list, text};
use crate::tree::Tree;
use crate::trust::{self, Owner};

/// Limits of a plugin's call.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time limit.
    pub timeout: Duration,
    /// Maximum length of one text, in bytes.
    pub most_text: usize,
}

/// The rules for loading plugins.
pub struct Rules<'r> {
    /// Required owner of plugins: user ID 0.
    pub owner: u32,
    /// Limits of each call.
    pub limits: Limits,
    /// The configuration of the views.
    pub selection: &'r Selection,
    /// Notified of each file.
    pub watch: &'r dyn Watch,
}

/// Is notified before a file is loaded: loading may crash this process.
pub trait Watch {
    /// A file is about to be loaded; `mark` changes with the file and its contents.
    ///
    /// # Errors
    /// The reason not to load it.
    fn before(&self, file: &Path, mark: &str) -> Result<(), String>;

    /// The file has been loaded.
    fn after(&self);
}

impl fmt::Debug for Rules<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("owner", &self.owner)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The plugins found.
#[derive(Debug, Default)]
pub struct Found {
    /// Views that can be served.
    pub views: Vec<Outside>,
    /// Views and files that cannot.
    pub refused: Vec<Refused>,
}

/// A directory, a file, or a view in it that cannot be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The directory or file.
    pub file: PathBuf,
    /// Cause and hint.
    pub why: String,
}

/// Loads all plugins of some directories, in the order of their names. An error in one affects no
/// other.
#[must_use]
pub fn load(directories: &[PathBuf], rules: &Rules<'_>) -> Found {
    let mut found = Found::default();
    let mut seen = Vec::new();
    for directory in directories {
        let path = std::path::absolute(directory).unwrap_or_else(|_| directory.clone());
        // A directory named twice would conflict with itself.
        if seen.contains(&path) {
            continue;
        }
        seen.push(path.clone());
        if let Err(why) = found.load_directory(&path, rules) {
            found.refuse(&path, why);
        }
    }
    found
}

impl Found {
    fn refuse(&mut self, file: &Path, why: String) {
        let file = file.to_owned();
        self.refused.push(Refused { file, why });
    }

    fn load_directory(&mut self, path: &Path, rules: &Rules<'_>) -> Result<(), String> {
        let owner = Owner(rules.owner);
        let held = trust::directory(path, owner)?;
        let held = held.ok_or("the directory does not exist, but plugin_dirs names it")?;
        for name in names(&held).map_err(|errno| errno.to_string())? {
            let file = path.join(&name);
            if let Err(why) = self.load_file(&held, &name, &file, rules) {
                self.refuse(&file, why);
            }
        }
        Ok(())
    }

    fn load_file(
        &mut self,
        held: &OwnedFd,
        name: &OsStr,
        file: &Path,
        rules: &Rules<'_>,
    ) -> Result<(), String> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let opened = trust::file(held, name, Owner(rules.owner))?;
        let mark = mark(&opened)?;
        rules.watch.before(file, &mark)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let loaded: &'static Loaded = Box::leak(Box::new(Loaded::new(file.to_owned(), number)));
        let views = library::load(opened, loaded)
            .and_then(|plugin| self.make_views(&plugin, loaded, rules));
        rules.watch.after();
        views
    }

    fn make_views(
        &mut self,
        plugin: &abi::Plugin,
        loaded: &'static Loaded,
        rules: &Rules<'_>,
    ) -> Result<(), String> {
        let words = |problem: crate::Problem| problem.to_string();
        // SAFETY: plugins guarantee that the data behind their tables is never freed.
        let name = unsafe { text(plugin.name, "the name of the plugin") }.map_err(words)?;
        // SAFETY: as above.
        let version = unsafe { text(plugin.version, "the version of the plugin") };
        let version = version.map_err(words)?;
        // SAFETY: as above.
        let views = unsafe { list(plugin.views, plugin.view_count, "the list of views") };
        let views = views.map_err(words)?;
        log::debug!(
            "plugin {}: {} {}, views: {}",
            loaded.file.display(),
            name.escape_debug(),
            version.escape_debug(),
            views.len()
        );
        for (at, &table) in views.iter().enumerate() {
            // SAFETY: as above.
            let made = unsafe { Record::read(table) }
                .map_err(|problem| format!("its view number {}: {problem}", at + 1))
                .and_then(|record| make(table, record, loaded, rules));
            match made {
                Ok(view) => self.views.push(view),
                Err(why) => self.refuse(&loaded.file, why),
            }
        }
        Ok(())
    }
}

/// Names of the files that are loaded as plugins, sorted.
fn names(directory: &OwnedFd) -> Result<Vec<OsString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory.as_fd())? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let is_hidden = name.as_bytes().first() == Some(&b'.');
        if !is_hidden && Path::new(name).extension() == Some(OsStr::new("so")) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Differs for another file, and after a change of the file.
fn mark(file: &OwnedFd) -> Result<String, String> {
    let stat = fstat(file).map_err(|errno| errno.to_string())?;
    Ok(format!(
        "{}.{}.{}.{}.{}",
        stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec
    ))
}

/// Creates a view of a plugin.
fn make(
    table: *const abi::View,
    record: Record,
    loaded: &'static Loaded,
    rules: &Rules<'_>,
) -> Result<Outside, String> {
    let of_view = format!("its view {:?}", record.name);
    if let Some(problem) = record.problem() {
        return Err(format!("{of_view}: {problem}"));
    }
    let flags = record.flags;
    let spec = record.into_spec();
    let origin = Origin::Plugin(loaded.file.clone());
    if rules.selection.disable.iter().any(|name| name == spec.name) {
        let provider = Provider::File(Arc::new(NotMade));
        return Ok(Outside {
            spec,
            provider,
            origin,
        });
    }
    // SAFETY: it was read before; plugins guarantee that it stays valid.
    let view = unsafe { copy(table) }.map_err(|problem| problem.to_string())?;
    let data = data(table, &view, spec, rules).map_err(|why| format!("{of_view}: {why}"))?;
    let Limits { timeout, most_text } = rules.limits;
    let made: &'static Made = Box::leak(Box::new(Made::new(loaded, data, timeout, most_text)));
    let provider = match view.render {
        Some(render) if view.kind == abi::KIND_FILE => Provider::File(Arc::new(File {
            made,
            render,
            render_on_host: view.render_on_host,
            channel: view.channel,
            keeps_its_length: flags & abi::VIEW_FIXED_LENGTH != 0,
        })),
        _ => {
            // SAFETY: as above.
            let functions = unsafe { copy(view.tree) }.map_err(|problem| problem.to_string())?;
            Provider::Tree(Arc::new(Tree { made, functions }))
        }
    };
    Ok(Outside {
        spec,
        provider,
        origin,
    })
}

/// The data pointer of a view's functions.
fn data(
    table: *const abi::View,
    view: &abi::View,
    spec: &'static ViewSpec,
    rules: &Rules<'_>,
) -> Result<Data, String> {
    let none = BTreeMap::<String, OptionValue>::new();
    let set = rules.selection.options.get(spec.name).unwrap_or(&none);
    let set = set.iter().map(|(name, value)| (name.as_str(), value));
    let options = Options::new(spec.name, spec.options, set).map_err(|error| error.to_string())?;
    let Some(make) = view.make else {
        return Ok(Data::new(view.data));
    };
    let mut data = ptr::null_mut();
    // SAFETY: the plugin passed the function for this call, and all arguments outlive the call.
    let answer = unsafe { make(table, ptr::from_ref(&options).cast(), &raw mut data) };
    if answer < 0 {
        let errno = Errno::from_raw_os_error(answer.saturating_neg());
        return Err(format!("it cannot be made: {errno} (see its log lines)"));
    }
    Ok(Data::new(data))
}

/// Replaces a view that the configuration has disabled.
#[derive(Debug)]
struct NotMade;

impl View for NotMade {
    fn render(&self, _: &mut Context<'_>, _: &mut Vec<u8>) -> Result<(), ViewError> {
        Err(ViewError::Answer(Errno::IO))
    }
}
