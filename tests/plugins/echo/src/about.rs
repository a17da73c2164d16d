//! A small tree.

use std::ffi::OsStr;
use std::sync::Arc;

use vistafs_plugin_sdk::view::{
    Access, Errno, NodeAttributes, NodeId, NodeKind, Provider, Request, Source, TreeView,
    ViewError, ViewSpec, inventory,
};

inventory::submit! {
    ViewSpec {
        name: "echo-about",
        path: "proc/echo/about",
        summary: "who reads, and where",
        mode: 0o555,
        on_by_default: true,
        sources: &[Source::Processes],
        options: &[],
        build: |_| Provider::Tree(Arc::new(About)),
    }
}

#[derive(Debug)]
struct About;

const TOP: u64 = 0;
const AGAIN: u64 = 1;
const CALLER: u64 = 2;
const MORE: u64 = 3;
const NAME: u64 = 4;

/// Number, number of the directory, name, kind.
const NODES: [(u64, u64, &str, NodeKind); 4] = [
    (AGAIN, TOP, "again", NodeKind::Link),
    (CALLER, TOP, "caller", NodeKind::File),
    (MORE, TOP, "more", NodeKind::Directory),
    (NAME, MORE, "name", NodeKind::File),
];

fn answer(errno: Errno) -> ViewError {
    ViewError::Answer(errno)
}

fn attributes(id: NodeId, kind: NodeKind) -> NodeAttributes {
    NodeAttributes {
        id,
        kind,
        mode: match kind {
            NodeKind::Directory => 0o555,
            NodeKind::File => 0o444,
            NodeKind::Link => 0o777,
        },
        uid: 0,
        gid: 0,
        size: 0,
        lasting: true,
        changeable: false,
    }
}

fn find(wanted: NodeId) -> Result<NodeAttributes, ViewError> {
    if wanted == NodeId::TOP {
        return Ok(attributes(wanted, NodeKind::Directory));
    }
    let found = NODES.iter().find(|(id, ..)| *id == wanted.get());
    let (.., kind) = found.ok_or(answer(Errno::STALE))?;
    Ok(attributes(wanted, *kind))
}

impl TreeView for About {
    fn lookup(
        &self,
        _: &mut Request<'_>,
        parent: NodeId,
        name: &OsStr,
    ) -> Result<NodeAttributes, ViewError> {
        let is = |node: &&(u64, u64, &str, NodeKind)| node.1 == parent.get() && name == node.2;
        let (id, .., kind) = NODES.iter().find(is).ok_or(answer(Errno::NOENT))?;
        let id = NodeId::new(*id).ok_or(answer(Errno::NOENT))?;
        Ok(attributes(id, *kind))
    }

    fn attributes(&self, _: &mut Request<'_>, node: NodeId) -> Result<NodeAttributes, ViewError> {
        find(node)
    }

    fn list(
        &self,
        _: &mut Request<'_>,
        node: NodeId,
        found: &mut dyn FnMut(&OsStr, NodeId, NodeKind),
    ) -> Result<(), ViewError> {
        if find(node)?.kind != NodeKind::Directory {
            return Err(answer(Errno::NOTDIR));
        }
        for (id, parent, name, kind) in NODES {
            if parent == node.get()
                && let Some(id) = NodeId::new(id)
            {
                found(OsStr::new(name), id, kind);
            }
        }
        Ok(())
    }

    fn open(&self, _: &mut Request<'_>, node: NodeId, access: Access) -> Result<(), ViewError> {
        match find(node)?.kind {
            NodeKind::File if access.write => Err(answer(Errno::ACCESS)),
            _ => Ok(()),
        }
    }

    fn read(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        let text = match node.get() {
            CALLER => {
                let asker = request.asker();
                format!("{} {} {}\n", asker.tid, asker.uid, asker.gid)
            }
            NAME => match request.container() {
                Some(container) => format!("{}\n", container.path().display()),
                None => "the host\n".to_owned(),
            },
            _ => return Err(answer(Errno::ISDIR)),
        };
        out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn read_link(
        &self,
        _: &mut Request<'_>,
        node: NodeId,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        if node.get() != AGAIN {
            return Err(answer(Errno::INVAL));
        }
        out.extend_from_slice(b"more/name");
        Ok(())
    }
}
