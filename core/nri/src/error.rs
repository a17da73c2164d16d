//! Errors: which part of the protocol was broken, and how.

use std::io;

/// A connection to a runtime that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket failed.
    #[error("cannot {doing} the runtime's socket")]
    Socket {
        /// The attempt, as "read from".
        doing: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The runtime closed the connection within a frame.
    #[error(
        "the runtime closed the connection within the {part} of a frame, {missing} bytes before its end"
    )]
    Truncated {
        /// `header` or `payload`.
        part: &'static str,
        /// Bytes that were still to come.
        missing: usize,
    },
    /// A frame announces more than one message can have.
    #[error(
        "a frame of connection {connection} has {length} bytes; at most {} are allowed",
        crate::mux::MAX_PAYLOAD
    )]
    FrameTooLong {
        /// The connection in the frame's header.
        connection: u32,
        /// The length in the frame's header.
        length: u32,
    },
    /// A message announces more than the protocol allows.
    #[error(
        "a message of stream {stream} has {length} bytes; at most {} are allowed",
        crate::ttrpc::MAX_LENGTH
    )]
    MessageTooLong {
        /// The stream in the message's header.
        stream: u32,
        /// The length of the message.
        length: usize,
    },
    /// A message of a kind that has no place on its connection.
    #[error(
        "a message of kind {kind} on connection {connection}, where only kind {expected} is expected"
    )]
    Kind {
        /// The kind in the message's header.
        kind: u8,
        /// The connection.
        connection: u32,
        /// The kind that the protocol has there.
        expected: u8,
    },
    /// A response to a request that the plugin did not send.
    #[error("a response on stream {stream}, where no request is pending")]
    Unasked {
        /// The stream in the message's header.
        stream: u32,
    },
    /// Bytes that do not decode as the expected message.
    #[error("cannot decode {what}")]
    Decode {
        /// The type of the message.
        what: &'static str,
        /// The field that is wrong.
        source: prost::DecodeError,
    },
    /// The runtime refused the registration.
    #[error("the runtime refused the plugin: {message} (status {code})")]
    Refused {
        /// A status code of gRPC.
        code: i32,
        /// The runtime's explanation.
        message: String,
    },
    /// The parts of one Synchronize are too large.
    #[error(
        "the runtime's list of pods and containers is larger than {} bytes",
        crate::plugin::MAX_STATE
    )]
    StateTooLong,
}

/// The result of an exchange with a runtime.
pub type Result<T, E = Error> = std::result::Result<T, E>;
