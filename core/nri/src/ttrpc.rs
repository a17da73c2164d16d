//! ttrpc: requests and responses on one connection.
//!
//! A message has a header of 10 bytes: the length of its data and the number of its stream, 32 bits each, big
//! endian, its kind and its flags. A response has the stream of its request. Flags concern streaming, which
//! NRI does not use; they are ignored.
//!
//! The crate `ttrpc` (0.8) is not used. Its server accepts connections from a listening socket and its client
//! owns a descriptor, so each direction of a multiplexed socket would need a socket pair and two threads that
//! copy; its messages come from a generator that runs at build time.

use prost::Message as _;

use crate::error::{Error, Result};

/// Bytes of a message's header.
pub const HEADER: usize = 10;
/// The longest data of a message, by the protocol.
pub const MAX_LENGTH: usize = 4 << 20;

/// The kind of a request.
pub const REQUEST: u8 = 1;
/// The kind of a response.
pub const RESPONSE: u8 = 2;

/// A status code of gRPC: the method does not exist.
pub const UNIMPLEMENTED: i32 = 12;
/// A status code of gRPC: the request is malformed.
pub const INVALID_ARGUMENT: i32 = 3;

/// The data of a request.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Request {
    /// The service, with its package.
    #[prost(string, tag = "1")]
    pub service: String,
    /// The method of the service.
    #[prost(string, tag = "2")]
    pub method: String,
    /// The encoded argument.
    #[prost(bytes = "vec", tag = "3")]
    pub payload: Vec<u8>,
    /// How long the caller waits, ns; 0: forever.
    #[prost(int64, tag = "4")]
    pub timeout_nano: i64,
}

/// The data of a response.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Response {
    /// Absent, or with code 0, if the call succeeded.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// The encoded result.
    #[prost(bytes = "vec", tag = "2")]
    pub payload: Vec<u8>,
}

/// Why a call failed.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Status {
    /// A status code of gRPC.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// The explanation.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// A message as it is on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Which call it belongs to; odd for those of a client.
    pub stream: u32,
    /// [`REQUEST`], [`RESPONSE`], or a kind that NRI does not use.
    pub kind: u8,
    /// A [`Request`] or a [`Response`].
    pub data: Vec<u8>,
}

impl Message {
    /// A request.
    #[must_use]
    pub fn request(stream: u32, request: &Request) -> Self {
        Self {
            stream,
            kind: REQUEST,
            data: request.encode_to_vec(),
        }
    }

    /// A response.
    #[must_use]
    pub fn response(stream: u32, response: &Response) -> Self {
        Self {
            stream,
            kind: RESPONSE,
            data: response.encode_to_vec(),
        }
    }

    /// The bytes of the message.
    ///
    /// # Errors
    /// When it is longer than [`MAX_LENGTH`].
    pub fn encode(&self) -> Result<Vec<u8>> {
        let length = self.data.len();
        let fits = u32::try_from(length).ok().filter(|_| length <= MAX_LENGTH);
        let Some(announced) = fits else {
            let stream = self.stream;
            return Err(Error::MessageTooLong { stream, length });
        };
        let mut bytes = Vec::with_capacity(HEADER + length);
        bytes.extend(announced.to_be_bytes());
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend([self.kind, 0]);
        bytes.extend(&self.data);
        Ok(bytes)
    }
}

/// The bytes of a connection that are not yet a whole message.
#[derive(Debug, Default)]
pub struct Incoming {
    /// Where frames are appended.
    pub bytes: Vec<u8>,
}

impl Incoming {
    /// Takes the next message, if all of it has arrived.
    ///
    /// # Errors
    /// When it is longer than [`MAX_LENGTH`], as soon as its header has arrived.
    pub fn take(&mut self) -> Result<Option<Message>> {
        let Some((header, data)) = self.bytes.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let [a, b, c, d, e, f, g, h, kind, _flags] = *header;
        let announced = u32::from_be_bytes([a, b, c, d]);
        let stream = u32::from_be_bytes([e, f, g, h]);
        let length = usize::try_from(announced).unwrap_or(usize::MAX);
        if length > MAX_LENGTH {
            return Err(Error::MessageTooLong { stream, length });
        }
        let Some(data) = data.get(..length) else {
            return Ok(None);
        };
        let message = Message {
            stream,
            kind,
            data: data.to_vec(),
        };
        self.bytes.drain(..HEADER + length);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_has_a_header_of_ten_bytes() {
        let message = Message {
            stream: 3,
            kind: RESPONSE,
            data: b"ab".to_vec(),
        };
        assert_eq!(message.encode().unwrap(), b"\0\0\0\x02\0\0\0\x03\x02\0ab");
    }

    #[test]
    fn a_message_that_is_too_long_is_refused_by_its_header() {
        let mut incoming = Incoming::default();
        incoming.bytes.extend(b"\0\x40\0\x01\0\0\0\x05\x01\0");
        assert_eq!(
            incoming.take().unwrap_err().to_string(),
            "a message of stream 5 has 4194305 bytes; at most 4194304 are allowed"
        );
        let long = Message {
            stream: 1,
            kind: REQUEST,
            data: vec![0; MAX_LENGTH + 1],
        };
        assert!(matches!(long.encode(), Err(Error::MessageTooLong { .. })));
    }

    fn messages() -> impl Strategy<Value = Vec<Message>> {
        let data = prop::collection::vec(any::<u8>(), 0..300);
        let one = (any::<u32>(), any::<u8>(), data);
        let one = one.prop_map(|(stream, kind, data)| Message { stream, kind, data });
        prop::collection::vec(one, 0..6)
    }

    proptest! {
        #[test]
        fn messages_are_read_however_they_are_cut(messages in messages(), part in 1_usize..400) {
            let bytes: Vec<u8> = messages.iter().flat_map(|one| one.encode().unwrap()).collect();
            let mut incoming = Incoming::default();
            let mut read = Vec::new();
            for part in bytes.chunks(part) {
                incoming.bytes.extend(part);
                while let Some(message) = incoming.take().unwrap() {
                    read.push(message);
                }
            }
            prop_assert_eq!(read, messages);
            prop_assert!(incoming.bytes.is_empty());
        }

        #[test]
        fn any_bytes_are_messages_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut incoming = Incoming { bytes };
            while let Ok(Some(message)) = incoming.take() {
                let _ = Request::decode(&*message.data);
                let _ = Response::decode(&*message.data);
            }
        }
    }
}
