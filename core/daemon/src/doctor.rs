//! What a host has of what vistafs needs.
//!
//! Each examination reads what the kernel tells and changes nothing. What is missing is *broken* when
//! vistafs cannot serve without it, else *limited*; then there is a remedy, a command or a kernel
//! parameter where one would help.

use std::path::Path;

use serde::Serialize;

mod cgroups;
mod kernel;
mod mounts;

/// How well something does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Good,
    /// Something that is shown elsewhere is not, or not the container's own.
    Limited,
    /// vistafs cannot be mounted, or has nothing to show.
    Broken,
}

/// What was found out about one thing.
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

/// All of it, for the host whose files are below `root`.
pub(crate) fn examine(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let mut findings = vec![kernel::user(), kernel::release(), kernel::fuse()];
    findings.extend(cgroups::examine(root)?);
    findings.push(kernel::pressure(root));
    findings.push(kernel::leases(root));
    findings.extend(mounts::examine(root)?);
    Ok(findings)
}
