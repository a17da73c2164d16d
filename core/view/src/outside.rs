//! External views: from a plugin or from the configuration.
//!
//! They are added after the built-in views and replace one only where `[views] replace` names its
//! path. An external view that cannot be served is refused with cause and hint; all other views
//! serve. Their order does not matter: of two conflicting ones both are refused, until the
//! configuration disables one.

use std::fmt;
use std::path::PathBuf;

use crate::registry::spec_problem;
use crate::{Provider, Registered, Selection, Status, ViewSpec};

/// Origin of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Compiled in.
    BuiltIn,
    /// The file of a plugin.
    Plugin(PathBuf),
    /// A table of the configuration.
    Configuration {
        /// The file.
        file: PathBuf,
        /// First line of the table, counted from 1.
        line: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::Plugin(file) => write!(f, "plugin {}", file.display()),
            Self::Configuration { file, line } => write!(f, "{}:{line}", file.display()),
        }
    }
}

/// An external view, ready to serve.
#[derive(Debug, Clone)]
pub struct Outside {
    /// Its registration; its `build` is not called.
    pub spec: &'static ViewSpec,
    /// Serves the requests.
    pub provider: Provider,
    /// Where it comes from.
    pub origin: Origin,
}

/// All external views that could be created.
#[derive(Debug, Default)]
pub struct OutsideViews {
    /// In any order.
    pub views: Vec<Outside>,
    /// External views that could not be created. An unknown view name in the configuration may
    /// belong to one of them; it is then logged instead of refused.
    pub refused: Vec<Refusal>,
}

/// An external view that could not be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where the view was configured or searched.
    pub origin: Origin,
    /// Cause and hint.
    pub why: String,
    /// Whether it has been logged.
    pub is_told: bool,
}

/// Adds the external views to the built-in ones and decides about each.
pub(crate) fn add(views: &mut Vec<Registered>, outside: Vec<Outside>, selection: &Selection) {
    let mut outside: Vec<Registered> = outside
        .into_iter()
        .map(|one| Registered {
            status: first_status(one.spec, selection),
            spec: one.spec,
            provider: one.provider,
            origin: one.origin,
        })
        .collect();
    outside.sort_by(|a, b| sorted_by(a).cmp(&sorted_by(b)));
    refuse_rivals(&mut outside);
    for one in &mut outside {
        if one.status == Status::On {
            beside_built_in(one, views, &selection.replace);
        }
        if let Status::Refused(why) = &one.status {
            log::error!("view {} ({}): {why}", one.spec.name, one.origin);
        }
    }
    for path in &selection.replace {
        let serves = |view: &Registered| view.spec.path == path && view.status == Status::On;
        if !outside.iter().any(serves) {
            log::warn!(
                "[views] replace has {path}, but no view from outside is there to replace it (the \
                 built-in one serves; vistafs views lists all)"
            );
        }
    }
    views.append(&mut outside);
    views.sort_by(|a, b| sorted_by(a).cmp(&sorted_by(b)));
}

fn sorted_by(view: &Registered) -> (&str, &str, String) {
    (view.spec.path, view.spec.name, view.origin.to_string())
}

fn first_status(spec: &ViewSpec, selection: &Selection) -> Status {
    if let Some(problem) = spec_problem(spec) {
        return Status::Refused(problem.to_owned());
    }
    if !spec.path.starts_with("proc/") && !spec.path.starts_with("sys/") {
        return Status::Refused(format!("its path {} is not below proc/ or sys/", spec.path));
    }
    let named = |list: &[String]| list.iter().any(|name| name == spec.name);
    if named(&selection.disable) {
        Status::Disabled
    } else if spec.on_by_default || named(&selection.enable) {
        Status::On
    } else {
        Status::OffByDefault
    }
}

/// Refuses views that conflict with each other.
fn refuse_rivals(views: &mut [Registered]) {
    let is_on = |view: &Registered| view.status == Status::On;
    let why: Vec<Option<String>> = views
        .iter()
        .enumerate()
        .map(|(at, one)| {
            let others = views.iter().enumerate().filter(|(other, _)| *other != at);
            let mut rivals =
                others.filter(|(_, other)| is_on(other) && are_rivals(one.spec, other.spec));
            let (_, rival) = rivals.next().filter(|_| is_on(one))?;
            let at = format!(
                "view {} ({}) wants {} too",
                rival.spec.name, rival.origin, rival.spec.path
            );
            Some(if one.spec.name == rival.spec.name {
                format!("{at}, and both have one name: take one of them away")
            } else {
                format!("{at}: put one of the two names into [views] disable")
            })
        })
        .collect();
    for (view, why) in views.iter_mut().zip(why) {
        if let Some(why) = why {
            view.status = Status::Refused(why);
        }
    }
}

/// An external view replaces built-in ones only where the configuration says so.
fn beside_built_in(one: &mut Registered, built_in: &mut [Registered], replace: &[String]) {
    let in_the_way = |view: &&mut Registered| {
        let serves = matches!(view.status, Status::On | Status::NotOnHost);
        are_rivals(one.spec, view.spec) && (serves || one.spec.name == view.spec.name)
    };
    let mut in_the_way: Vec<_> = built_in.iter_mut().filter(in_the_way).collect();
    let refused = |view: &Registered| {
        let (name, path) = (view.spec.name, view.spec.path);
        if path == one.spec.path {
            format!(
                "the built-in view {name} serves {path}; to replace it: [views] replace = [{path:?}]"
            )
        } else if name == one.spec.name {
            "a built-in view has the same name; it needs another".to_owned()
        } else {
            format!(
                "the built-in view {name} serves {path}; to do without that: [views] disable = [{name:?}]"
            )
        }
    };
    let stays = |view: &&mut Registered| {
        view.spec.path != one.spec.path || !replace.iter().any(|path| path == view.spec.path)
    };
    if let Some(view) = in_the_way.iter().find(|view| stays(view)) {
        one.status = Status::Refused(refused(view));
        return;
    }
    for view in &mut in_the_way {
        view.status = Status::Replaced(one.spec.name.to_owned());
    }
}

/// Whether two views cannot both serve: same name, same path, or one path below the other.
fn are_rivals(a: &ViewSpec, b: &ViewSpec) -> bool {
    let below = |a: &str, b: &str| b.strip_prefix(a).is_some_and(|rest| rest.starts_with('/'));
    a.name == b.name || a.path == b.path || below(a.path, b.path) || below(b.path, a.path)
}

#[cfg(test)]
mod tests;
