//! Lists a whole tree as one text, for golden files.
//!
//! One line for each entry, a directory before its entries:
//!
//! ```text
//! cpu0/
//! cpu0/node0 -> ../../node/node0
//! cpu0/topology/core_id = host: 0
//! cpu0/topology/core_siblings_list: 0-1
//! ```
//!
//! `= host` marks a text that is identical to the host's; a long one is omitted. Other texts with several
//! lines are indented below their name, unless all lines are 0. Entries that the host has and the listing
//! lacks are hidden.

use std::ffi::OsStr;
use std::path::Path;

use vistafs_view::{NodeId, NodeKind, Request, TreeView, ViewError};

/// Appends the listing of a tree; `of_host` is the host's directory.
pub(crate) fn push(
    tree: &dyn TreeView,
    request: &mut Request<'_>,
    of_host: &Path,
    out: &mut Vec<u8>,
) -> Result<(), ViewError> {
    directory(tree, request, of_host, Path::new(""), NodeId::TOP, out)
}

fn directory(
    tree: &dyn TreeView,
    request: &mut Request<'_>,
    of_host: &Path,
    path: &Path,
    node: NodeId,
    out: &mut Vec<u8>,
) -> Result<(), ViewError> {
    let mut entries = Vec::new();
    tree.list(request, node, &mut |name, id, kind| {
        entries.push((name.to_owned(), id, kind));
    })?;
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, id, kind) in entries {
        let found = tree.lookup(request, node, &name)?;
        assert_eq!(
            (found.id, found.kind),
            (id, kind),
            "{}",
            path.join(&name).display()
        );
        assert_eq!(tree.attributes(request, id)?, found);
        let path = path.join(OsStr::new(&name));
        out.extend_from_slice(path.to_str().unwrap().as_bytes());
        let mut text = Vec::new();
        match kind {
            NodeKind::Directory => {
                out.extend_from_slice(b"/\n");
                directory(tree, request, of_host, &path, id, out)?;
            }
            NodeKind::Link => {
                tree.read_link(request, id, &mut text)?;
                out.extend_from_slice(&[b" -> ", &text[..], b"\n"].concat());
            }
            NodeKind::File => {
                tree.read(request, id, &mut text)?;
                let same = std::fs::read(of_host.join(&path)).is_ok_and(|host| host == text);
                out.extend_from_slice(&shown(&text, same));
            }
        }
    }
    Ok(())
}

fn shown(text: &[u8], is_host_s: bool) -> Vec<u8> {
    let lines: Vec<&[u8]> = text
        .strip_suffix(b"\n")
        .unwrap_or(text)
        .split(|b| *b == b'\n')
        .collect();
    match &lines[..] {
        [line] if !is_host_s || line.len() < 20 && line.is_ascii() => {
            let mark: &[u8] = if is_host_s { b" = host: " } else { b": " };
            [mark, line, b"\n"].concat()
        }
        _ if is_host_s => b" = host\n".to_vec(),
        lines if lines.iter().all(|line| line.ends_with(b" 0")) => b": all 0\n".to_vec(),
        lines => [b":\n  ", &lines.join(&b"\n  "[..])[..], b"\n"].concat(),
    }
}
