//! A tree that faults as soon as a container asks what it is.

use std::ffi::OsStr;
use std::sync::Arc;

use vistafs_plugin_sdk::view::{
    Access, Errno, NodeAttributes, NodeId, NodeKind, Provider, Request, TreeView, ViewError,
    ViewSpec, inventory,
};

use crate::views::fault;

inventory::submit! {
    ViewSpec {
        name: "odd-tree",
        path: "proc/odd/tree",
        summary: "faults when it is looked up",
        mode: 0o555,
        on_by_default: true,
        sources: &[],
        options: &[],
        build: |_| Provider::Tree(Arc::new(Odd)),
    }
}

#[derive(Debug)]
struct Odd;

const NOT_HERE: ViewError = ViewError::Answer(Errno::NOENT);

impl TreeView for Odd {
    fn lookup(
        &self,
        _: &mut Request<'_>,
        _: NodeId,
        _: &OsStr,
    ) -> Result<NodeAttributes, ViewError> {
        Err(NOT_HERE)
    }

    fn attributes(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
    ) -> Result<NodeAttributes, ViewError> {
        if request.container().is_some() {
            fault();
        }
        Ok(NodeAttributes {
            id: node,
            kind: NodeKind::Directory,
            mode: 0o555,
            uid: 0,
            gid: 0,
            size: 0,
            lasting: true,
            changeable: false,
        })
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
        Err(NOT_HERE)
    }
}
