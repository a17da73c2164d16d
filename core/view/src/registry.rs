//! All views, collected once at start into a sorted, checked, immutable list.
//!
//! `inventory` has no order, and the linker silently drops a crate that no code names. So the
//! registry sorts and checks the registrations, and the daemon's tests compare the names with the
//! enabled features.

use std::sync::Arc;

use vistafs_host::Host;

use crate::aside::PutAside;
use crate::nearest::nearest;
use crate::outside::{self, Origin, OutsideViews, Refusal};
use crate::{OptionError, Options, Provider, Selection, Source, ViewSpec};

/// Whether a view serves, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It serves.
    On,
    /// It is off by default and not enabled.
    OffByDefault,
    /// The configuration disables it.
    Disabled,
    /// The host file that it is made from does not exist.
    NotOnHost,
    /// It is disabled after crashes, with the reason: containers get EIO, the host its own file.
    PutAside(String),
    /// An external view that cannot be served, with the reason.
    Refused(String),
    /// The configuration replaces it with the named external view.
    Replaced(String),
}

impl Status {
    /// Whether callers find it.
    fn is_served(&self) -> bool {
        matches!(self, Self::On | Self::PutAside(_))
    }
}

/// A view in the registry.
#[derive(Debug)]
pub struct Registered {
    /// Its registration.
    pub spec: &'static ViewSpec,
    /// Whether it serves.
    pub status: Status,
    /// Serves the requests.
    pub provider: Provider,
    /// Origin of the view.
    pub origin: Origin,
}

/// A set of views that cannot be served together.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RegistryError {
    /// No view has this name.
    #[error("unknown view {name:?} (did you mean {nearest:?}? `vistafs views` lists them all)")]
    Unknown {
        /// The unknown name.
        name: String,
        /// The most similar name.
        nearest: String,
    },
    /// Two registrations claim the same name or path, or one path is below the other's file.
    #[error("views {0} and {1} both claim {2}")]
    Clash(&'static str, &'static str, &'static str),
    /// A registration with an unacceptable path, mode or summary.
    #[error("view {name}: {problem}")]
    Spec {
        /// The view.
        name: &'static str,
        /// The problem.
        problem: &'static str,
    },
    /// No built-in view serves the path to be replaced.
    #[error("[views] replace: no built-in view serves {0:?} (it takes paths, as \"proc/meminfo\")")]
    NothingToReplace(String),
    /// An option that cannot be set to the given value.
    #[error(transparent)]
    Option(#[from] OptionError),
}

/// All views, by path.
#[derive(Debug)]
pub struct Registry {
    views: Vec<Registered>,
    refused: Vec<Refusal>,
}

impl Registry {
    /// Collects the registrations that are linked into this program.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn collect(selection: &Selection) -> Result<Self, RegistryError> {
        Self::with_outside(selection, OutsideViews::default())
    }

    /// Collects built-in and external views. An error in an external view refuses only that view.
    ///
    /// # Errors
    /// [`RegistryError`], for the built-in views and the selection.
    pub fn with_outside(
        selection: &Selection,
        outside: OutsideViews,
    ) -> Result<Self, RegistryError> {
        Self::assemble(inventory::iter::<ViewSpec>, outside, selection)
    }

    /// Checks and sorts the given registrations.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn new(
        specs: impl IntoIterator<Item = &'static ViewSpec>,
        selection: &Selection,
    ) -> Result<Self, RegistryError> {
        Self::assemble(specs, OutsideViews::default(), selection)
    }

    pub(crate) fn assemble(
        specs: impl IntoIterator<Item = &'static ViewSpec>,
        outside: OutsideViews,
        selection: &Selection,
    ) -> Result<Self, RegistryError> {
        let mut specs: Vec<&'static ViewSpec> = specs.into_iter().collect();
        specs.sort_by_key(|spec| spec.path);
        for spec in &specs {
            check(spec)?;
        }
        check_clashes(&specs)?;
        check_names(&specs, &outside, selection)?;
        let mut views = Vec::with_capacity(specs.len());
        for spec in specs {
            let set = selection.options.get(spec.name).into_iter().flatten();
            let options = Options::new(spec.name, spec.options, set.map(|(k, v)| (k.as_str(), v)))?;
            let named = |list: &[String]| list.iter().any(|name| name == spec.name);
            let status = if named(&selection.disable) {
                Status::Disabled
            } else if spec.on_by_default || named(&selection.enable) {
                Status::On
            } else {
                Status::OffByDefault
            };
            views.push(Registered {
                spec,
                status,
                provider: (spec.build)(&options),
                origin: Origin::BuiltIn,
            });
        }
        for refusal in outside.refused.iter().filter(|one| !one.is_told) {
            log::error!("{}: {}", refusal.origin, refusal.why);
        }
        outside::add(&mut views, outside.views, selection);
        Ok(Self {
            views,
            refused: outside.refused,
        })
    }

    /// Removes views made from a file that the host lacks.
    #[must_use]
    pub fn on(mut self, host: &Host) -> Self {
        for view in &mut self.views {
            let needs_file = view.spec.sources.contains(&Source::Host);
            if view.status == Status::On && needs_file && !host.has(view.spec.path) {
                view.status = Status::NotOnHost;
            }
        }
        self
    }

    /// Disables a view after crashes: containers get EIO. A tree is also disabled for the host when
    /// this is called for it again. Names of unknown or disabled views are ignored.
    pub fn put_aside(&mut self, name: &str, why: &str) {
        let mut views = self.views.iter_mut();
        let Some(view) = views.find(|view| view.spec.name == name && view.status.is_served())
        else {
            return;
        };
        view.provider = match &view.provider {
            Provider::File(_) => Provider::File(Arc::new(PutAside { of_host: None })),
            Provider::Tree(tree) => {
                let is_first = view.status == Status::On;
                let of_host = is_first.then(|| Arc::clone(tree));
                Provider::Tree(Arc::new(PutAside { of_host }))
            }
        };
        view.status = Status::PutAside(why.to_owned());
    }

    /// Every view, by path.
    #[must_use]
    pub fn all(&self) -> &[Registered] {
        &self.views
    }

    /// External views that could not be created.
    #[must_use]
    pub fn refused(&self) -> &[Refusal] {
        &self.refused
    }

    /// Views that serve, by path, and views disabled after crashes.
    pub fn serving(&self) -> impl Iterator<Item = &Registered> {
        self.views.iter().filter(|view| view.status.is_served())
    }

    /// The view at a path (`proc/meminfo`, or `/proc/meminfo`), or of a name (`meminfo`).
    ///
    /// # Errors
    /// `Unknown`, with the most similar name.
    pub fn find(&self, wanted: &str) -> Result<&Registered, RegistryError> {
        let path = wanted.trim_start_matches('/');
        let is_wanted = |view: &&Registered| view.spec.path == path || view.spec.name == path;
        // Among conflicting views, the one that serves.
        let found = self.serving().find(is_wanted);
        found
            .or_else(|| self.views.iter().find(is_wanted))
            .ok_or_else(|| {
                let specs: Vec<_> = self.views.iter().map(|v| v.spec).collect();
                unknown(wanted, &specs)
            })
    }

    /// The view with a name or path as in [`find`](Self::find), or the tree that contains a path,
    /// with the path below it.
    ///
    /// # Errors
    /// `Unknown`, with the most similar name.
    pub fn resolve<'w>(&self, wanted: &'w str) -> Result<(&Registered, &'w str), RegistryError> {
        let path = wanted.trim_start_matches('/');
        let below = |view: &Registered| path.strip_prefix(view.spec.path)?.strip_prefix('/');
        let mut trees = self
            .serving()
            .filter(|view| matches!(view.provider, Provider::Tree(_)));
        match trees.find_map(|view| Some((view, below(view)?))) {
            Some(found) => Ok(found),
            None => self.find(wanted).map(|view| (view, "")),
        }
    }
}

fn check(spec: &'static ViewSpec) -> Result<(), RegistryError> {
    match spec_problem(spec) {
        Some(problem) => Err(RegistryError::Spec {
            name: spec.name,
            problem,
        }),
        None => Ok(()),
    }
}

/// The problem of a registration.
pub(crate) fn spec_problem(spec: &ViewSpec) -> Option<&'static str> {
    registration_problem(spec.name, spec.path, spec.mode, spec.summary)
}

/// The problem of a registration with these fields; `None`: it is valid.
#[must_use]
pub fn registration_problem(
    name: &str,
    path: &str,
    mode: u16,
    summary: &str,
) -> Option<&'static str> {
    let name_ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if name.is_empty() || !name.bytes().all(name_ok) {
        return Some("its name is not of a-z, 0-9, - and _");
    }
    if path.split('/').any(|c| matches!(c, "" | "." | "..")) {
        return Some("its path has an empty component, . or ..");
    }
    if path.bytes().any(|b| !b.is_ascii_graphic()) {
        return Some("its path has characters that are not printable ASCII");
    }
    match path.split('/').next() {
        Some("at") => return Some("its path is below at/, where containers stand by address"),
        Some("c" | "self") => {
            return Some("its path is below c/ or self/, where containers have their own files");
        }
        _ => {}
    }
    if mode & !0o777 != 0 {
        return Some("its mode has more than permission bits");
    }
    if summary.is_empty() || summary.contains('\n') {
        return Some("its summary is not one line");
    }
    None
}

/// Checks that every view and path in the configuration exists.
fn check_names(
    built_in: &[&'static ViewSpec],
    outside: &OutsideViews,
    selection: &Selection,
) -> Result<(), RegistryError> {
    let specs: Vec<_> = built_in
        .iter()
        .copied()
        .chain(outside.views.iter().map(|view| view.spec))
        .collect();
    let asked = selection
        .enable
        .iter()
        .chain(&selection.disable)
        .chain(selection.options.keys());
    for name in asked {
        if specs.iter().any(|spec| spec.name == name) {
            continue;
        }
        if outside.refused.is_empty() {
            return Err(unknown(name, &specs));
        }
        log::warn!(
            "the configuration names view {name:?}, which is not there (is its plugin one of those left \
             out above? vistafs views lists all)"
        );
    }
    let is_served = |path: &&String| built_in.iter().any(|spec| spec.path == **path);
    match selection.replace.iter().find(|path| !is_served(path)) {
        Some(path) => Err(RegistryError::NothingToReplace(path.clone())),
        None => Ok(()),
    }
}

fn check_clashes(sorted: &[&'static ViewSpec]) -> Result<(), RegistryError> {
    for (index, a) in sorted.iter().enumerate() {
        for b in &sorted[index + 1..] {
            let below = b
                .path
                .strip_prefix(a.path)
                .is_some_and(|rest| rest.starts_with('/'));
            if a.path == b.path || a.name == b.name || below {
                return Err(RegistryError::Clash(a.name, b.name, a.path));
            }
        }
    }
    Ok(())
}

fn unknown(name: &str, specs: &[&'static ViewSpec]) -> RegistryError {
    let candidates = specs.iter().flat_map(|s| [s.name, s.path]);
    let wanted = name.trim_start_matches('/');
    let nearest = nearest(wanted, candidates).unwrap_or("");
    RegistryError::Unknown {
        name: name.to_owned(),
        nearest: nearest.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::sync::Arc;

    use super::*;
    use crate::{
        Access, Context, Errno, NodeAttributes, NodeId, NodeKind, Request, TreeView, View,
        ViewError,
    };

    #[derive(Debug)]
    struct Empty;

    impl View for Empty {
        fn render(&self, _: &mut Context<'_>, _: &mut Vec<u8>) -> Result<(), ViewError> {
            Ok(())
        }
    }

    const fn spec(name: &'static str, path: &'static str) -> ViewSpec {
        ViewSpec {
            name,
            path,
            summary: "a test",
            mode: 0o444,
            on_by_default: true,
            sources: &[],
            options: &[],
            build: |_| Provider::File(Arc::new(Empty)),
        }
    }

    #[derive(Debug)]
    struct Bare;

    const NOT_HERE: Result<NodeAttributes, ViewError> = Err(ViewError::Answer(Errno::NOENT));

    impl TreeView for Bare {
        fn lookup(
            &self,
            _: &mut Request<'_>,
            _: NodeId,
            _: &OsStr,
        ) -> Result<NodeAttributes, ViewError> {
            NOT_HERE
        }

        fn attributes(&self, _: &mut Request<'_>, _: NodeId) -> Result<NodeAttributes, ViewError> {
            NOT_HERE
        }

        fn list(
            &self,
            _: &mut Request<'_>,
            _: NodeId,
            _: &mut dyn FnMut(&OsStr, NodeId, NodeKind),
        ) -> Result<(), ViewError> {
            Ok(())
        }

        fn open(&self, _: &mut Request<'_>, _: NodeId, _: Access) -> Result<(), ViewError> {
            Ok(())
        }

        fn read(&self, _: &mut Request<'_>, _: NodeId, _: &mut Vec<u8>) -> Result<(), ViewError> {
            Ok(())
        }
    }

    static TREE: ViewSpec = ViewSpec {
        build: |_| Provider::Tree(Arc::new(Bare)),
        ..spec("tree", "sys/tree")
    };
    static MEMINFO: ViewSpec = spec("meminfo", "proc/meminfo");
    static STAT: ViewSpec = spec("stat", "proc/stat");
    static BELOW: ViewSpec = spec("below", "proc/stat/x");
    static ESCAPING: ViewSpec = spec("escaping", "proc/../etc/shadow");
    static ADDRESS: ViewSpec = spec("address", "at/x");

    #[test]
    fn views_are_sorted_and_selected() {
        let selection = Selection {
            disable: vec!["stat".into()],
            ..Selection::default()
        };
        let registry = Registry::new([&STAT, &MEMINFO], &selection).unwrap();
        let paths: Vec<_> = registry
            .all()
            .iter()
            .map(|v| (v.spec.path, v.status.clone()))
            .collect();
        assert_eq!(
            paths,
            [
                ("proc/meminfo", Status::On),
                ("proc/stat", Status::Disabled)
            ]
        );
        assert_eq!(registry.serving().count(), 1);
        assert_eq!(registry.find("/proc/stat").unwrap().spec.name, "stat");
    }

    #[test]
    fn a_view_that_is_put_aside_is_there_and_answers_nothing() {
        let selection = Selection {
            disable: vec!["stat".into()],
            ..Selection::default()
        };
        let mut registry = Registry::new([&STAT, &MEMINFO, &TREE], &selection).unwrap();
        for name in ["stat", "meminfo", "tree", "nothing"] {
            registry.put_aside(name, "it crashed");
        }
        let status = |name| registry.find(name).unwrap().status.clone();
        assert_eq!(status("stat"), Status::Disabled);
        assert_eq!(status("meminfo"), Status::PutAside("it crashed".into()));
        assert_eq!(status("tree"), Status::PutAside("it crashed".into()));
        assert_eq!(registry.serving().count(), 2);
    }

    #[test]
    fn a_path_below_a_tree_is_resolved() {
        let registry = Registry::new([&STAT, &TREE], &Selection::default()).unwrap();
        let resolve = |wanted| {
            let (view, below) = registry.resolve(wanted).unwrap();
            (view.spec.name, below)
        };
        assert_eq!(resolve("/sys/tree/a/b"), ("tree", "a/b"));
        assert_eq!(resolve("sys/tree"), ("tree", ""));
        assert_eq!(resolve("tree"), ("tree", ""));
        assert_eq!(resolve("proc/stat"), ("stat", ""));
        for unknown in ["sys/tree2", "proc/stat/x"] {
            assert!(registry.resolve(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn bad_registrations_are_refused() {
        for specs in [
            vec![&STAT, &STAT],
            vec![&STAT, &BELOW],
            vec![&ESCAPING],
            vec![&ADDRESS],
        ] {
            assert!(
                Registry::new(specs.clone(), &Selection::default()).is_err(),
                "{specs:?}"
            );
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let selection = Selection {
            enable: vec!["meminf".into()],
            ..Selection::default()
        };
        let error = Registry::new([&STAT, &MEMINFO], &selection).unwrap_err();
        assert!(
            error.to_string().contains("did you mean \"meminfo\"?"),
            "{error}"
        );
    }
}
