//! The multiplexed socket: frames of numbered connections.
//!
//! A frame is the number of its connection and the length of its payload, 32 bits each, big endian, and the
//! payload. The payloads of one connection are a stream of bytes: a frame ends anywhere in a message. A
//! connection is never opened or closed by a frame.

use std::io::{Read, Write};

use crate::error::{Error, Result};
use crate::ttrpc;

/// The connection on which the runtime calls the plugin.
pub const PLUGIN: u32 = 1;
/// The connection on which the plugin calls the runtime.
pub const RUNTIME: u32 = 2;

const HEADER: usize = 8;
/// The longest payload that runtimes send: a whole message.
pub const MAX_PAYLOAD: usize = ttrpc::HEADER + ttrpc::MAX_LENGTH;
/// The longest payload that is sent. Runtimes read a message's header through a buffer of 4 KiB, and drop
/// the connection when a frame does not fit into it.
const SENT_PAYLOAD: usize = 4096;

/// A piece of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The connection.
    pub connection: u32,
    /// Its next bytes.
    pub payload: Vec<u8>,
}

/// Reads a frame, or `None` at the end of the stream.
///
/// # Errors
/// When the stream fails or ends within the frame, or when the frame is too long.
pub fn read(stream: &mut impl Read) -> Result<Option<Frame>> {
    let header = read_up_to(stream, HEADER)?;
    let Some((header, [])) = header.split_first_chunk::<HEADER>() else {
        if header.is_empty() {
            return Ok(None);
        }
        let (part, missing) = ("header", HEADER - header.len());
        return Err(Error::Truncated { part, missing });
    };
    let [a, b, c, d, e, f, g, h] = *header;
    let connection = u32::from_be_bytes([a, b, c, d]);
    let length = u32::from_be_bytes([e, f, g, h]);
    let fits = usize::try_from(length).ok().filter(|n| *n <= MAX_PAYLOAD);
    let Some(wanted) = fits else {
        return Err(Error::FrameTooLong { connection, length });
    };
    let payload = read_up_to(stream, wanted)?;
    if payload.len() < wanted {
        let (part, missing) = ("payload", wanted - payload.len());
        return Err(Error::Truncated { part, missing });
    }
    Ok(Some(Frame {
        connection,
        payload,
    }))
}

/// Sends bytes on a connection.
///
/// # Errors
/// When the stream fails.
pub fn write(stream: &mut impl Write, connection: u32, bytes: &[u8]) -> Result<()> {
    let mut framed = Vec::with_capacity(bytes.len() + HEADER);
    for payload in bytes.chunks(SENT_PAYLOAD) {
        // At most SENT_PAYLOAD.
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        framed.extend(connection.to_be_bytes());
        framed.extend(length.to_be_bytes());
        framed.extend(payload);
    }
    let sent = stream.write_all(&framed).and_then(|()| stream.flush());
    sent.map_err(|source| Error::Socket {
        doing: "write to",
        source,
    })
}

/// Reads `most` bytes, or fewer at the end of the stream. The buffer grows with what arrives, not with what
/// a header announces.
fn read_up_to(stream: &mut impl Read, most: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = stream.take(most as u64).read_to_end(&mut bytes);
    read.map_err(|source| Error::Socket {
        doing: "read from",
        source,
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(mut bytes: &[u8]) -> Result<Vec<Frame>> {
        let mut frames = Vec::new();
        while let Some(frame) = read(&mut bytes)? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[test]
    fn a_frame_has_its_connection_and_its_length_in_front() {
        let mut framed = Vec::new();
        write(&mut framed, RUNTIME, b"abc").unwrap();
        assert_eq!(framed, b"\0\0\0\x02\0\0\0\x03abc");
    }

    #[test]
    fn no_sent_frame_is_longer_than_the_readers_buffer() {
        let mut framed = Vec::new();
        write(&mut framed, PLUGIN, &[7; 10_000]).unwrap();
        let frames = read_all(&framed).unwrap();
        let lengths: Vec<usize> = frames.iter().map(|frame| frame.payload.len()).collect();
        assert_eq!(lengths, [4096, 4096, 1808]);
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_before_it_is_read() {
        let mut frame: &[u8] = b"\0\0\0\x01\xff\xff\xff\xff";
        let error = read(&mut frame).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a frame of connection 1 has 4294967295 bytes; at most 4194314 are allowed"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(parts in prop::collection::vec((0_u32..=3, prop::collection::vec(any::<u8>(), 0..9000)), 0..8)) {
            let mut framed = Vec::new();
            for (connection, bytes) in &parts {
                write(&mut framed, *connection, bytes).unwrap();
            }
            let frames = read_all(&framed).unwrap();
            for number in 0..=3 {
                let sent: Vec<u8> = parts.iter().filter(|part| part.0 == number).flat_map(|part| part.1.clone()).collect();
                let read: Vec<u8> = frames.iter().filter(|frame| frame.connection == number).flat_map(|frame| frame.payload.clone()).collect();
                prop_assert_eq!(sent, read);
            }
        }

        #[test]
        fn a_stream_that_ends_early_is_an_error(bytes in prop::collection::vec(any::<u8>(), 1..100), cut in 1_usize..100) {
            let mut framed = Vec::new();
            write(&mut framed, PLUGIN, &bytes).unwrap();
            let cut = cut.min(framed.len() - 1);
            let error = read_all(&framed[..framed.len() - cut]).unwrap_err();
            prop_assert!(matches!(error, Error::Truncated { .. }), "{}", error);
        }

        #[test]
        fn any_bytes_are_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(frames) = read_all(&bytes) {
                let read: usize = frames.iter().map(|frame| HEADER + frame.payload.len()).sum();
                prop_assert_eq!(read, bytes.len());
            }
        }
    }
}
