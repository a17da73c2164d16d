//! What stands in the place of a view that is put aside.

use std::ffi::OsStr;

use rustix::io::Errno;

use crate::{
    Access, Context, NodeAttributes, NodeId, NodeKind, Request, TreeView, View, ViewError,
};

/// Answers EIO to everything. The host's own file is shown to the host without asking a view; of a
/// directory there is nothing to show to anybody.
#[derive(Debug)]
pub(crate) struct PutAside;

const ANSWER: ViewError = ViewError::Answer(Errno::IO);

impl View for PutAside {
    fn render(&self, _: &mut Context<'_>, _: &mut Vec<u8>) -> Result<(), ViewError> {
        Err(ANSWER)
    }
}

impl TreeView for PutAside {
    fn lookup(
        &self,
        _: &mut Request<'_>,
        _: NodeId,
        _: &OsStr,
    ) -> Result<NodeAttributes, ViewError> {
        Err(ANSWER)
    }

    fn attributes(&self, _: &mut Request<'_>, _: NodeId) -> Result<NodeAttributes, ViewError> {
        Err(ANSWER)
    }

    fn list(
        &self,
        _: &mut Request<'_>,
        _: NodeId,
        _: &mut dyn FnMut(&OsStr, NodeId, NodeKind),
    ) -> Result<(), ViewError> {
        Err(ANSWER)
    }

    fn open(&self, _: &mut Request<'_>, _: NodeId, _: Access) -> Result<(), ViewError> {
        Err(ANSWER)
    }

    fn read(&self, _: &mut Request<'_>, _: NodeId, _: &mut Vec<u8>) -> Result<(), ViewError> {
        Err(ANSWER)
    }
}
