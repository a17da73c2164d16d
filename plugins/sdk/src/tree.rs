//! The functions of a tree.

use std::ffi::{OsStr, c_void};
use std::mem::size_of;
use std::os::unix::ffi::OsStrExt;

use vistafs_plugin_abi as abi;
use vistafs_view::{
    Access, Change, Errno, NodeAttributes, NodeId, NodeKind, Provider, TreeView, ViewError,
};

use crate::channel::put_out;
use crate::guard::{answer, bytes, result, write};
use crate::scene::with_request;

pub(crate) static FUNCTIONS: abi::Tree = abi::Tree {
    size: size_of::<abi::Tree>(),
    lookup: Some(lookup),
    attributes: Some(attributes),
    list: Some(list),
    open: Some(open),
    read: Some(read),
    read_link: Some(read_link),
    channel: Some(channel),
    make_directory: Some(make_directory),
    remove_directory: Some(remove_directory),
    change: Some(change),
};

/// The view that a function was given.
///
/// # Safety
/// `view` is what `make` has put out.
unsafe fn tree<'v>(view: *mut c_void) -> Result<&'v dyn TreeView, ViewError> {
    // SAFETY: what the caller promises; what `make` puts out is never freed.
    match unsafe { &*view.cast::<Provider>() } {
        Provider::Tree(tree) => Ok(&**tree),
        _ => Err(ViewError::Answer(Errno::IO)),
    }
}

/// The name that a function was given.
///
/// # Safety
/// As for [`bytes`].
unsafe fn name<'n>(name: abi::Str) -> &'n OsStr {
    // SAFETY: what the caller promises.
    OsStr::from_bytes(unsafe { bytes(name) })
}

fn node(id: u64) -> Result<NodeId, ViewError> {
    NodeId::new(id).ok_or(ViewError::Answer(Errno::STALE))
}

fn access(flags: u32) -> Access {
    Access {
        read: flags & abi::ACCESS_READ != 0,
        write: flags & abi::ACCESS_WRITE != 0,
    }
}

fn kind(kind: NodeKind) -> u32 {
    match kind {
        NodeKind::Directory => abi::NODE_DIRECTORY,
        NodeKind::File => abi::NODE_FILE,
        NodeKind::Link => abi::NODE_LINK,
    }
}

/// Returns the found node in `out`.
///
/// # Safety
/// `out` is a writable table of vistafs.
unsafe fn put_out_node(found: NodeAttributes, out: *mut abi::Node) {
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    let filled = abi::Node {
        size: 0,
        id: found.id.get(),
        bytes: found.size,
        kind: kind(found.kind),
        mode: found.mode.into(),
        uid: found.uid,
        gid: found.gid,
        flags: flag(found.lasting, abi::NODE_LASTING)
            | flag(found.changeable, abi::NODE_CHANGEABLE),
    };
    // SAFETY: what the caller promises.
    unsafe { crate::guard::put_out(&filled, out) };
}

unsafe extern "C" fn lookup(
    view: *mut c_void,
    context: *const abi::Context,
    parent: u64,
    wanted: abi::Str,
    out: *mut abi::Node,
) -> i32 {
    answer(context, |host| {
        // SAFETY: `view` is what `make` has put out.
        let tree = unsafe { tree(view) }?;
        // SAFETY: the text is there during the call.
        let wanted = unsafe { name(wanted) };
        let parent = node(parent)?;
        let found = with_request(host, context, |request| {
            tree.lookup(request, parent, wanted)
        })?;
        // SAFETY: vistafs gives it to be written to.
        unsafe { put_out_node(found, out) };
        Ok(0)
    })
}

unsafe extern "C" fn attributes(
    view: *mut c_void,
    context: *const abi::Context,
    id: u64,
    out: *mut abi::Node,
) -> i32 {
    answer(context, |host| {
        // SAFETY: `view` is what `make` has put out.
        let tree = unsafe { tree(view) }?;
        let id = node(id)?;
        let found = with_request(host, context, |request| tree.attributes(request, id))?;
        // SAFETY: vistafs gives it to be written to.
        unsafe { put_out_node(found, out) };
        Ok(0)
    })
}

unsafe extern "C" fn list(
    view: *mut c_void,
    context: *const abi::Context,
    id: u64,
    listing: *mut abi::Listing,
) -> i32 {
    answer(context, |host| {
        // SAFETY: `view` is what `make` has put out.
        let tree = unsafe { tree(view) }?;
        let id = node(id)?;
        let mut outcome = Ok(());
        with_request(host, context, |request| {
            tree.list(request, id, &mut |name, id, of_kind| {
                if outcome.is_ok() {
                    let name = abi::Str::new(name.as_bytes());
                    // SAFETY: the listing is that of the function that is being answered, and the name
                    // outlives the call.
                    let added = unsafe { (host.add_entry)(listing, name, id.get(), kind(of_kind)) };
                    outcome = result(added);
                }
            })
        })?;
        outcome.map_err(ViewError::Answer).map(|()| 0)
    })
}

unsafe extern "C" fn open(
    view: *mut c_void,
    context: *const abi::Context,
    id: u64,
    flags: u32,
) -> i32 {
    answer(context, |host| {
        // SAFETY: `view` is what `make` has put out.
        let tree = unsafe { tree(view) }?;
        let id = node(id)?;
        with_request(host, context, |request| {
            tree.open(request, id, access(flags))
        })?;
        Ok(0)
    })
}

unsafe extern "C" fn read(
    view: *mut c_void,
    context: *const abi::Context,
    id: u64,
    sink: *mut abi::Sink,
) -> i32 {
    answer(context, |host| {
        // SAFETY: `view` is what `make` has put out.
        let tree = unsafe { tree(view) }?;
        let id = node(id)?;
        let mut text = Vec::new();
        with_request(host, context, |request| tree.read(request, id, &mut text))?;
        write(host, sink, &text).map(|()| 0)
    })
}

unsafe extern "C" fn read_link(
    view: *mut c_void,
    context: *const abi::Context,
    id: u64,
    sink: *mut abi::Sink,
) -> i32 {
    answer(context, |host| {
        // SAFETY: `view` is what `make` has put out.
        let tree = unsafe { tree(view) }?;
        let id = node(id)?;
        let mut text = Vec::new();
        with_request(host, context, |request| {
            tree.read_link(request, id, &mut text)
        })?;
        write(host, sink, &text).map(|()| 0)
    })
}

unsafe extern "C" fn channel(
    view: *mut c_void,
    context: *const abi::Context,
    id: u64,
    flags: u32,
    lasting: abi::Str,
    out: *mut abi::Channel,
) -> i32 {
    answer(context, |host| {
        // SAFETY: `view` is what `make` has put out.
        let tree = unsafe { tree(view) }?;
        // SAFETY: the text is there during the call.
        let lasting = unsafe { bytes(lasting) };
        let (id, access) = (node(id)?, access(flags));
        let opened = with_request(host, context, |request| {
            if lasting.is_empty() {
                tree.channel(request, id, access)
            } else {
                tree.channel_again(request, id, access, lasting)
            }
        })?;
        // SAFETY: vistafs gives it to be written to.
        unsafe { put_out(opened, out) };
        Ok(0)
    })
}

unsafe extern "C" fn make_directory(
    view: *mut c_void,
    context: *const abi::Context,
    parent: u64,
    wanted: abi::Str,
    mode: u32,
    out: *mut abi::Node,
) -> i32 {
    answer(context, |host| {
        // SAFETY: `view` is what `make` has put out.
        let tree = unsafe { tree(view) }?;
        // SAFETY: the text is there during the call.
        let wanted = unsafe { name(wanted) };
        let parent = node(parent)?;
        let made = with_request(host, context, |request| {
            tree.make_directory(request, parent, wanted, mode)
        })?;
        // SAFETY: vistafs gives it to be written to.
        unsafe { put_out_node(made, out) };
        Ok(0)
    })
}

unsafe extern "C" fn remove_directory(
    view: *mut c_void,
    context: *const abi::Context,
    parent: u64,
    wanted: abi::Str,
) -> i32 {
    answer(context, |host| {
        // SAFETY: `view` is what `make` has put out.
        let tree = unsafe { tree(view) }?;
        // SAFETY: the text is there during the call.
        let wanted = unsafe { name(wanted) };
        let parent = node(parent)?;
        with_request(host, context, |request| {
            tree.remove_directory(request, parent, wanted)
        })?;
        Ok(0)
    })
}

unsafe extern "C" fn change(
    view: *mut c_void,
    context: *const abi::Context,
    id: u64,
    change: *const abi::Change,
) -> i32 {
    answer(context, |host| {
        // SAFETY: `view` is what `make` has put out.
        let tree = unsafe { tree(view) }?;
        // SAFETY: vistafs gives a table of the first version or a later one.
        let told = unsafe { *change };
        let has = |flag| told.set & flag != 0;
        let change = Change {
            mode: has(abi::CHANGE_MODE).then_some(told.mode),
            uid: has(abi::CHANGE_UID).then_some(told.uid),
            gid: has(abi::CHANGE_GID).then_some(told.gid),
        };
        let id = node(id)?;
        with_request(host, context, |request| tree.change(request, id, change))?;
        Ok(0)
    })
}
