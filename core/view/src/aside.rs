//! The provider that replaces a disabled view.

use std::ffi::OsStr;
use std::sync::Arc;

use rustix::io::Errno;

use crate::{
    Access, Change, Channel, Context, NodeAttributes, NodeId, NodeKind, Request, TreeView, View,
    ViewError,
};

/// Answers EIO to containers. The dispatcher shows the host's own file to the host without calling
/// a view; of a tree, the host sees what the tree serves to the host, until that crashes, too.
#[derive(Debug)]
pub(crate) struct PutAside {
    /// The original tree, as long as it is served to the host.
    pub(crate) of_host: Option<Arc<dyn TreeView>>,
}

const ANSWER: ViewError = ViewError::Answer(Errno::IO);

impl PutAside {
    fn tree(&self, request: &Request<'_>) -> Result<&dyn TreeView, ViewError> {
        let is_host = request.container().is_none();
        let tree = self.of_host.as_deref().filter(|_| is_host);
        tree.ok_or(ANSWER)
    }
}

impl View for PutAside {
    fn render(&self, _: &mut Context<'_>, _: &mut Vec<u8>) -> Result<(), ViewError> {
        Err(ANSWER)
    }
}

impl TreeView for PutAside {
    fn lookup(
        &self,
        request: &mut Request<'_>,
        parent: NodeId,
        name: &OsStr,
    ) -> Result<NodeAttributes, ViewError> {
        self.tree(request)?.lookup(request, parent, name)
    }

    fn attributes(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
    ) -> Result<NodeAttributes, ViewError> {
        self.tree(request)?.attributes(request, node)
    }

    fn list(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        found: &mut dyn FnMut(&OsStr, NodeId, NodeKind),
    ) -> Result<(), ViewError> {
        self.tree(request)?.list(request, node, found)
    }

    fn open(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        access: Access,
    ) -> Result<(), ViewError> {
        self.tree(request)?.open(request, node, access)
    }

    fn read(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        self.tree(request)?.read(request, node, out)
    }

    fn read_link(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        self.tree(request)?.read_link(request, node, out)
    }

    fn takes_time(&self) -> bool {
        self.of_host.as_deref().is_some_and(TreeView::takes_time)
    }

    fn channel(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        access: Access,
    ) -> Result<Option<Box<dyn Channel>>, ViewError> {
        self.tree(request)?.channel(request, node, access)
    }

    fn channel_again(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        access: Access,
        lasting: &[u8],
    ) -> Result<Option<Box<dyn Channel>>, ViewError> {
        let tree = self.tree(request)?;
        tree.channel_again(request, node, access, lasting)
    }

    fn make_directory(
        &self,
        request: &mut Request<'_>,
        parent: NodeId,
        name: &OsStr,
        mode: u32,
    ) -> Result<NodeAttributes, ViewError> {
        let tree = self.tree(request)?;
        tree.make_directory(request, parent, name, mode)
    }

    fn remove_directory(
        &self,
        request: &mut Request<'_>,
        parent: NodeId,
        name: &OsStr,
    ) -> Result<(), ViewError> {
        self.tree(request)?.remove_directory(request, parent, name)
    }

    fn change(
        &self,
        request: &mut Request<'_>,
        node: NodeId,
        change: Change,
    ) -> Result<(), ViewError> {
        self.tree(request)?.change(request, node, change)
    }
}
