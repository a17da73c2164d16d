//! Checks the host for what vistafs needs.
//!
//! Each check reads files of the kernel and changes nothing. A finding is *broken* if vistafs cannot serve
//! without it, else *limited*; both have a hint: a command or a kernel
//! parameter.

use std::path::Path;

use serde::Serialize;

mod cgroups;
mod kernel;
mod mounts;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Good,
    /// A view shows host values, zeros, or nothing.
    Limited,
    /// vistafs cannot mount, or has nothing to show.
    Broken,
}

/// The result of one check.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) about: &'static str,
    pub(crate) state: State,
    pub(crate) found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

impl Finding {
    fn good(about: &'static str, found: impl Into<String>) -> Self {
        Self {
            about,
            state: State::Good,
            found: found.into(),
            remedy: None,
        }
    }

    fn limited(about: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            about,
            state: State::Limited,
            found: found.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn broken(about: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Broken,
            ..Self::limited(about, found, remedy)
        }
    }
}

/// Runs all checks, for the host whose files are below `root`.
pub(crate) fn examine(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let mut findings = vec![kernel::user(), kernel::release(), kernel::fuse()];
    findings.extend(cgroups::examine(root)?);
    findings.push(kernel::pressure(root));
    findings.push(kernel::leases(root));
    findings.extend(mounts::examine(root)?);
    Ok(findings)
}
