//! The view, and who may see what of it.
//!
//! Each request reads the host and the container: a GPU that is plugged in appears at once.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use vistafs_plugin_sdk::view::{
    Access, Errno, NodeAttributes, NodeId, NodeKind, OptionSpec, OptionValue, Options, Provider,
    Request, Source, TreeView, ViewError, ViewSpec, inventory,
};

use crate::allowed::{Allowed, Otherwise};
use crate::gpus::{self, Device, Gpu};
use crate::node::Node;
use crate::rules::Rules;

const ROOT: &str = "root";
const ALLOW: &str = "allow";
const SHOW_UNKNOWN: &str = "show_unknown";

inventory::submit! {
    ViewSpec {
        name: "gpu",
        path: "proc/driver/gpus",
        summary: "the GPUs that the container may use",
        mode: 0o555,
        on_by_default: true,
        sources: &[Source::Controller("devices")],
        options: &[
            OptionSpec {
                name: ROOT,
                default: OptionValue::Text(Cow::Borrowed("/")),
                range: None,
                summary: "the host directory whose dev, proc and sys list the GPUs",
            },
            OptionSpec {
                name: ALLOW,
                default: OptionValue::Text(Cow::Borrowed("")),
                range: None,
                summary: "on cgroup v2, lines of a pattern of cgroup paths and names of GPUs, or all",
            },
            OptionSpec {
                name: SHOW_UNKNOWN,
                default: OptionValue::Bool(false),
                range: None,
                summary: "on cgroup v2, show all GPUs to containers that no line of allow is about",
            },
        ],
        build: |options| Provider::Tree(Arc::new(Gpus::new(options))),
    }
}

const INFORMATION: &str = "information";

#[derive(Debug)]
pub(crate) struct Gpus {
    /// Below the host's root.
    root: PathBuf,
    /// An error in the options is returned to every caller until it is fixed.
    otherwise: Result<Otherwise, String>,
}

/// A GPU that the caller may use, and by which nodes.
struct Seen {
    gpu: Gpu,
    first: Device,
    nodes: Vec<(Device, String)>,
}

impl Gpus {
    pub(crate) fn new(options: &Options) -> Self {
        let otherwise = match Rules::parse(options.text(ALLOW)) {
            Ok(rules) => Ok(Otherwise {
                rules,
                shows_unknown: options.flag(SHOW_UNKNOWN),
            }),
            Err(error) => {
                let why = format!("[view.gpu] allow, line {}: {}", error.line, error.problem);
                log::error!("{why}");
                Err(why)
            }
        };
        Self {
            root: options.text(ROOT).trim_start_matches('/').into(),
            otherwise,
        }
    }

    /// The GPUs that the caller may use.
    fn seen(&self, request: &Request<'_>) -> Result<Vec<Seen>, ViewError> {
        let fault = |why: &String| ViewError::Fault {
            errno: Errno::IO,
            why: why.clone(),
        };
        let otherwise = self.otherwise.as_ref().map_err(fault)?;
        let allowed = Allowed::of(request)?;
        let gpus = gpus::find(&request.host().root().path().join(&self.root))?;
        let seen = gpus.into_iter().filter_map(|gpu| {
            let (first, _) = *gpu.nodes.first()?;
            let nodes: Vec<_> = allowed
                .nodes(&gpu, otherwise)
                .into_iter()
                .cloned()
                .collect();
            (!nodes.is_empty()).then_some(Seen { gpu, first, nodes })
        });
        Ok(seen.collect())
    }

    /// The node of a number and its GPU, if the caller may see it.
    fn find(&self, request: &Request<'_>, id: NodeId) -> Result<(Node, Option<Seen>), ViewError> {
        let stale = || ViewError::Answer(Errno::STALE);
        let node = Node::from_id(id).ok_or_else(stale)?;
        let device = match node {
            Node::Top => return Ok((node, None)),
            Node::Gpu(device) | Node::Information(device) => device,
        };
        let mut seen = self.seen(request)?.into_iter();
        let seen = seen.find(|seen| seen.first == device).ok_or_else(stale)?;
        Ok((node, Some(seen)))
    }
}

impl TreeView for Gpus {
    fn lookup(
        &self,
        request: &mut Request<'_>,
        parent: NodeId,
        name: &OsStr,
    ) -> Result<NodeAttributes, ViewError> {
        let found = match self.find(request, parent)? {
            (Node::Top, _) => {
                let mut seen = self.seen(request)?.into_iter();
                let seen = seen.find(|seen| name == seen.gpu.name.as_str());
                seen.map(|seen| Node::Gpu(seen.first))
            }
            (Node::Gpu(device), _) if name == INFORMATION => Some(Node::Information(device)),
            (Node::Gpu(_), _) => None,
            (Node::Information(_), _) => return Err(ViewError::Answer(Errno::NOTDIR)),
        };
        found.ok_or(ViewError::Answer(Errno::NOENT))?.attributes()
    }

    fn attributes(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
    ) -> Result<NodeAttributes, ViewError> {
        self.find(request, node)?.0.attributes()
    }

    fn list(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        found: &mut dyn FnMut(&OsStr, NodeId, NodeKind),
    ) -> Result<(), ViewError> {
        match self.find(request, node)?.0 {
            Node::Top => {
                for seen in self.seen(request)? {
                    let node = Node::Gpu(seen.first);
                    found(OsStr::new(&seen.gpu.name), node.id()?, node.kind());
                }
                Ok(())
            }
            Node::Gpu(device) => {
                let node = Node::Information(device);
                found(OsStr::new(INFORMATION), node.id()?, node.kind());
                Ok(())
            }
            Node::Information(_) => Err(ViewError::Answer(Errno::NOTDIR)),
        }
    }

    fn open(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        access: Access,
    ) -> Result<(), ViewError> {
        match self.find(request, node)?.0 {
            Node::Information(_) if access.write => Err(ViewError::Answer(Errno::ACCESS)),
            _ => Ok(()),
        }
    }

    fn read(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        match self.find(request, node)? {
            (Node::Information(_), Some(seen)) => {
                out.extend_from_slice(information(&seen).as_bytes());
                Ok(())
            }
            _ => Err(ViewError::Answer(Errno::ISDIR)),
        }
    }
}

/// Information about a GPU, as lines of a key and a value.
fn information(seen: &Seen) -> String {
    let mut text = format!("Name: {}\n", seen.gpu.name);
    for (device, path) in &seen.nodes {
        // A string takes all that is written to it.
        let _ = writeln!(text, "Node: {path} ({}:{})", device.major, device.minor);
    }
    for (key, value) in [
        ("Bus", &seen.gpu.bus),
        ("Driver", &seen.gpu.driver),
        ("ID", &seen.gpu.id),
    ] {
        if let Some(value) = value {
            let _ = writeln!(text, "{key}: {value}");
        }
    }
    text + &seen.gpu.told
}

#[cfg(test)]
mod tests;
