//! Adapts a plugin's tree to [`TreeView`].

use std::ffi::OsStr;
use std::mem::size_of;
use std::os::unix::ffi::OsStrExt;

use vistafs_plugin_abi as abi;
use vistafs_view::{
    Access, Change, Channel, Errno, NodeAttributes, NodeId, NodeKind, Request, TreeView, ViewError,
};

use crate::call::Made;
use crate::channel;
use crate::scene::Scene;
use crate::sink::{Listing, kind_of};

#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) made: &'static Made,
    pub(crate) functions: abi::Tree,
}

/// A missing function is answered as by a tree without the operation.
fn or<F>(function: Option<F>, errno: Errno) -> Result<F, ViewError> {
    function.ok_or(ViewError::Answer(errno))
}

fn access_flags(access: Access) -> u32 {
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    flag(access.read, abi::ACCESS_READ) | flag(access.write, abi::ACCESS_WRITE)
}

/// A plugin's attributes of a node.
fn node(told: &abi::Node) -> Result<NodeAttributes, ViewError> {
    let fault = |why: String| ViewError::Fault {
        errno: Errno::IO,
        why,
    };
    let id = NodeId::new(told.id);
    let id = id.ok_or_else(|| fault(format!("node {} is not below 2^56", told.id)))?;
    let kind = kind_of(told.kind);
    let kind = kind.ok_or_else(|| fault(format!("node {} is of kind {}", told.id, told.kind)))?;
    // Otherwise the kernel would consider the whole tree broken.
    if id == NodeId::TOP && kind != NodeKind::Directory {
        return Err(fault("its top is not a directory".into()));
    }
    Ok(NodeAttributes {
        id,
        kind,
        mode: u16::try_from(told.mode & 0o777).unwrap_or(0),
        uid: told.uid,
        gid: told.gid,
        // The kernel rejects a larger size.
        size: told.bytes.min(i64::MAX.unsigned_abs()),
        lasting: told.flags & abi::NODE_LASTING != 0,
        changeable: told.flags & abi::NODE_CHANGEABLE != 0,
    })
}

impl Tree {
    fn scene(&self, request: &Request<'_>) -> Scene {
        Scene::of_request(self.made.loaded, request)
    }

    /// Makes a call that returns a node.
    fn node(
        &self,
        request: &Request<'_>,
        call: impl FnOnce(*const abi::Context, *mut abi::Node) -> i32 + Send + 'static,
    ) -> Result<NodeAttributes, ViewError> {
        let (_, told) = self.made.call(self.scene(request), move |context| {
            let mut told = abi::Node {
                size: size_of::<abi::Node>(),
                id: u64::MAX,
                bytes: 0,
                kind: u32::MAX,
                mode: 0,
                uid: 0,
                gid: 0,
                flags: 0,
            };
            (call(context, &raw mut told), told)
        })?;
        node(&told)
    }

    fn open_channel(
        &self,
        request: &Request<'_>,
        id: NodeId,
        access: Access,
        lasting: &[u8],
    ) -> Result<Option<Box<dyn Channel>>, ViewError> {
        let Some(open) = self.functions.channel else {
            return Ok(None);
        };
        let (made, lasting, access) = (self.made, lasting.to_vec(), access_flags(access));
        channel::open(made, self.scene(request), move |context, out| {
            let lasting = abi::Str::new(&lasting);
            // SAFETY: the plugin passed the function for this call, and all arguments outlive the
            // call.
            unsafe { open(made.data(), context, id.get(), access, lasting, out) }
        })
    }
}

impl TreeView for Tree {
    fn lookup(
        &self,
        request: &mut Request<'_>,
        parent: NodeId,
        name: &OsStr,
    ) -> Result<NodeAttributes, ViewError> {
        let lookup = or(self.functions.lookup, Errno::NOENT)?;
        let (made, name) = (self.made, name.to_owned());
        self.node(request, move |context, out| {
            let name = abi::Str::new(name.as_bytes());
            // SAFETY: the plugin passed the function for this call, and all arguments outlive the
            // call.
            unsafe { lookup(made.data(), context, parent.get(), name, out) }
        })
    }

    fn attributes(
        &self,
        request: &mut Request<'_>,
        wanted: NodeId,
    ) -> Result<NodeAttributes, ViewError> {
        let attributes = or(self.functions.attributes, Errno::STALE)?;
        let made = self.made;
        let found = self.node(request, move |context, out| {
            // SAFETY: as above.
            unsafe { attributes(made.data(), context, wanted.get(), out) }
        })?;
        if found.id != wanted {
            let (asked, told) = (wanted.get(), found.id.get());
            return Err(ViewError::Fault {
                errno: Errno::IO,
                why: format!("node {asked} was requested, node {told} was returned"),
            });
        }
        Ok(found)
    }

    fn list(
        &self,
        request: &mut Request<'_>,
        id: NodeId,
        found: &mut dyn FnMut(&OsStr, NodeId, NodeKind),
    ) -> Result<(), ViewError> {
        let list = or(self.functions.list, Errno::NOTDIR)?;
        let made = self.made;
        let (_, entries) = made.call(self.scene(request), move |context| {
            let listing = Listing::default();
            // SAFETY: as above.
            let answer = unsafe { list(made.data(), context, id.get(), listing.as_listing()) };
            (answer, listing.into_entries())
        })?;
        for (name, id, kind) in entries {
            found(&name, id, kind);
        }
        Ok(())
    }

    fn open(&self, request: &mut Request<'_>, id: NodeId, access: Access) -> Result<(), ViewError> {
        let Some(open) = self.functions.open else {
            return Ok(());
        };
        let (made, access) = (self.made, access_flags(access));
        made.call(self.scene(request), move |context| {
            // SAFETY: as above.
            (unsafe { open(made.data(), context, id.get(), access) }, ())
        })?;
        Ok(())
    }

    fn read(
        &self,
        request: &mut Request<'_>,
        id: NodeId,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        let read = or(self.functions.read, Errno::IO)?;
        let made = self.made;
        let (_, text) = made.write(self.scene(request), move |context, sink| {
            // SAFETY: as above.
            unsafe { read(made.data(), context, id.get(), sink) }
        })?;
        out.extend_from_slice(&text);
        Ok(())
    }

    fn read_link(
        &self,
        request: &mut Request<'_>,
        id: NodeId,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        let read_link = or(self.functions.read_link, Errno::INVAL)?;
        let made = self.made;
        let (_, text) = made.write(self.scene(request), move |context, sink| {
            // SAFETY: as above.
            unsafe { read_link(made.data(), context, id.get(), sink) }
        })?;
        out.extend_from_slice(&text);
        Ok(())
    }

    fn takes_time(&self) -> bool {
        true
    }

    fn channel(
        &self,
        request: &mut Request<'_>,
        id: NodeId,
        access: Access,
    ) -> Result<Option<Box<dyn Channel>>, ViewError> {
        self.open_channel(request, id, access, &[])
    }

    fn channel_again(
        &self,
        request: &mut Request<'_>,
        id: NodeId,
        access: Access,
        lasting: &[u8],
    ) -> Result<Option<Box<dyn Channel>>, ViewError> {
        self.open_channel(request, id, access, lasting)
    }

    fn make_directory(
        &self,
        request: &mut Request<'_>,
        parent: NodeId,
        name: &OsStr,
        mode: u32,
    ) -> Result<NodeAttributes, ViewError> {
        let make = or(self.functions.make_directory, Errno::PERM)?;
        let (made, name) = (self.made, name.to_owned());
        self.node(request, move |context, out| {
            let name = abi::Str::new(name.as_bytes());
            // SAFETY: as above.
            unsafe { make(made.data(), context, parent.get(), name, mode, out) }
        })
    }

    fn remove_directory(
        &self,
        request: &mut Request<'_>,
        parent: NodeId,
        name: &OsStr,
    ) -> Result<(), ViewError> {
        let remove = or(self.functions.remove_directory, Errno::PERM)?;
        let (made, name) = (self.made, name.to_owned());
        made.call(self.scene(request), move |context| {
            let name = abi::Str::new(name.as_bytes());
            // SAFETY: as above.
            (
                unsafe { remove(made.data(), context, parent.get(), name) },
                (),
            )
        })?;
        Ok(())
    }

    fn change(
        &self,
        request: &mut Request<'_>,
        id: NodeId,
        change: Change,
    ) -> Result<(), ViewError> {
        let function = or(self.functions.change, Errno::PERM)?;
        let made = self.made;
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let change = abi::Change {
            size: size_of::<abi::Change>(),
            set: flag(change.mode.is_some(), abi::CHANGE_MODE)
                | flag(change.uid.is_some(), abi::CHANGE_UID)
                | flag(change.gid.is_some(), abi::CHANGE_GID),
            mode: change.mode.unwrap_or(0),
            uid: change.uid.unwrap_or(0),
            gid: change.gid.unwrap_or(0),
        };
        made.call(self.scene(request), move |context| {
            // SAFETY: as above.
            let answer = unsafe { function(made.data(), context, id.get(), &raw const change) };
            (answer, ())
        })?;
        Ok(())
    }
}
