//! Noting requests in the handover memory while they are in flight, if there is such memory: should
//! this process be killed before it answers one, another process can.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use fuser::{FileHandle, INodeNo, Request};
use vistafs_handover::{InFlight, Request as Noted};

use super::VistaFs;

impl VistaFs {
    /// Notes that a request is in flight, until what is returned is dropped: after the reply.
    pub(super) fn note(&self, req: &Request, opcode: u32, noted: Noted<'_>) -> Option<InFlight> {
        let handover = self.dispatcher.handover()?;
        let view = if noted.name.is_empty() {
            self.dispatcher.view_of(noted.node)
        } else {
            let name = OsStr::from_bytes(noted.name);
            self.dispatcher.view_of_name(noted.node, name)
        };
        let (view, view_name) = view.unwrap_or_default();
        handover.begin(&Noted {
            unique: req.unique().0,
            opcode,
            tid: req.pid(),
            uid: req.uid(),
            gid: req.gid(),
            view,
            view_name,
            ..noted
        })
    }

    /// The same for a request that tells no more than a node.
    pub(super) fn note_node(&self, req: &Request, opcode: u32, node: INodeNo) -> Option<InFlight> {
        self.note_file(req, opcode, node, FileHandle(0))
    }

    /// The same for a request to an open file.
    pub(super) fn note_file(
        &self,
        req: &Request,
        opcode: u32,
        node: INodeNo,
        handle: FileHandle,
    ) -> Option<InFlight> {
        let noted = Noted {
            node: node.0,
            handle: handle.0,
            ..Noted::default()
        };
        self.note(req, opcode, noted)
    }

    /// The same for a request about a name in a directory.
    pub(super) fn note_name(
        &self,
        req: &Request,
        opcode: u32,
        parent: INodeNo,
        name: &OsStr,
    ) -> Option<InFlight> {
        let noted = Noted {
            node: parent.0,
            name: name.as_encoded_bytes(),
            ..Noted::default()
        };
        self.note(req, opcode, noted)
    }
}
