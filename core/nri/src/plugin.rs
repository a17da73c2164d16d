//! A plugin: registers with a runtime, and answers its calls one after the other.
//!
//! A runtime waits 2 s for an answer by default, and drops a plugin that takes longer. So a [`Plugin`] leaves
//! slow work to a thread of its own.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use prost::Message as _;

use crate::error::{Error, Result};
use crate::messages::{
    ConfigureRequest, ConfigureResponse, Container, ContainerAdjustment, ContainerRequest,
    CreateContainerResponse, Event, PLUGIN_SERVICE, PodSandbox, RUNTIME_SERVICE,
    RegisterPluginRequest, StateChangeEvent, SynchronizeRequest, SynchronizeResponse,
};
use crate::mux::{self, PLUGIN, RUNTIME};
use crate::ttrpc::{
    INVALID_ARGUMENT, Incoming, Message, REQUEST, RESPONSE, Request, Response, Status,
    UNIMPLEMENTED,
};

/// Where runtimes listen.
pub const DEFAULT_SOCKET: &str = "/var/run/nri/nri.sock";

/// The bytes of all requests that belong to one Synchronize: about 20,000 containers.
pub(crate) const MAX_STATE: usize = 64 << 20;

/// The stream of the only request that a plugin sends. Those of clients are odd.
const REGISTRATION: u32 = 1;

/// How a plugin registers.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Two digits: the runtime calls its plugins in the order of these.
    pub index: String,
}

/// The decisions of a plugin.
pub trait Plugin {
    /// The runtime has accepted the registration.
    fn configured(&mut self, runtime: &ConfigureRequest);

    /// All containers of the runtime, each with its pod if the runtime knows it.
    fn synchronize(&mut self, containers: Vec<(Option<PodSandbox>, Container)>);

    /// A container is created: the changes to its specification.
    fn create(&mut self, pod: &PodSandbox, container: &Container) -> ContainerAdjustment;

    /// The first process of a container was started.
    fn started(&mut self, pod: &PodSandbox, container: &Container);
}

/// Registers, and answers until the runtime closes the connection.
///
/// # Errors
/// When the socket fails, the runtime refuses the plugin, or what it sends is malformed.
pub fn serve(
    stream: impl Read + Write,
    identity: &Identity,
    plugin: &mut impl Plugin,
) -> Result<()> {
    let mut session = Session {
        stream,
        plugin,
        is_registered: false,
        pods: BTreeMap::new(),
        containers: Vec::new(),
        state: 0,
    };
    session.register(identity)?;
    let mut calls = Incoming::default();
    let mut answers = Incoming::default();
    while let Some(frame) = mux::read(&mut session.stream)? {
        match frame.connection {
            PLUGIN => {
                calls.bytes.extend(frame.payload);
                while let Some(message) = calls.take()? {
                    session.call(&message)?;
                }
            }
            RUNTIME => {
                answers.bytes.extend(frame.payload);
                while let Some(message) = answers.take()? {
                    session.answer(&message)?;
                }
            }
            // Reserved for later versions of the protocol.
            _ => {}
        }
    }
    Ok(())
}

struct Session<'p, S, P> {
    stream: S,
    plugin: &'p mut P,
    is_registered: bool,
    // Of the Synchronize whose parts are arriving.
    pods: BTreeMap<String, PodSandbox>,
    containers: Vec<Container>,
    state: usize,
}

impl<S: Read + Write, P: Plugin> Session<'_, S, P> {
    fn register(&mut self, identity: &Identity) -> Result<()> {
        let request = RegisterPluginRequest {
            plugin_name: identity.name.clone(),
            plugin_idx: identity.index.clone(),
        };
        let request = Request {
            service: RUNTIME_SERVICE.to_owned(),
            method: "RegisterPlugin".to_owned(),
            payload: request.encode_to_vec(),
            timeout_nano: 0,
        };
        let message = Message::request(REGISTRATION, &request);
        mux::write(&mut self.stream, RUNTIME, &message.encode()?)
    }

    fn answer(&mut self, message: &Message) -> Result<()> {
        expect(message, RESPONSE, RUNTIME)?;
        let stream = message.stream;
        if stream != REGISTRATION || self.is_registered {
            return Err(Error::Unasked { stream });
        }
        let response: Response = decode("a response", &message.data)?;
        match response.status {
            Some(Status { code, message }) if code != 0 => Err(Error::Refused { code, message }),
            _ => {
                self.is_registered = true;
                Ok(())
            }
        }
    }

    fn call(&mut self, message: &Message) -> Result<()> {
        expect(message, REQUEST, PLUGIN)?;
        let request: Request = decode("a request", &message.data)?;
        let response = match self.dispatch(&request) {
            Ok(Some(payload)) => Response {
                status: None,
                payload,
            },
            Ok(None) => {
                let Request {
                    service, method, ..
                } = request;
                failure(UNIMPLEMENTED, format!("no method {service}/{method}"))
            }
            // The runtime and the plugin differ about one message; the next one may be fine.
            Err(Error::Decode { what, source }) => {
                failure(INVALID_ARGUMENT, format!("cannot decode {what}: {source}"))
            }
            Err(error) => return Err(error),
        };
        let message = Message::response(message.stream, &response);
        mux::write(&mut self.stream, PLUGIN, &message.encode()?)
    }

    /// The encoded result; `None` for a method that does not exist.
    fn dispatch(&mut self, request: &Request) -> Result<Option<Vec<u8>>> {
        if request.service != PLUGIN_SERVICE {
            return Ok(None);
        }
        let payload = &request.payload;
        let result = match &*request.method {
            "Configure" => {
                self.plugin
                    .configured(&decode("ConfigureRequest", payload)?);
                let events = Event::CreateContainer.bit() | Event::PostStartContainer.bit();
                ConfigureResponse { events }.encode_to_vec()
            }
            "Synchronize" => self.synchronize(payload)?.encode_to_vec(),
            "CreateContainer" => {
                let request = decode("CreateContainerRequest", payload)?;
                let ContainerRequest { pod, container } = request;
                let (pod, container) = (pod.unwrap_or_default(), container.unwrap_or_default());
                let adjust = Some(self.plugin.create(&pod, &container));
                CreateContainerResponse { adjust }.encode_to_vec()
            }
            "PostStartContainer" => {
                let request = decode("PostStartContainerRequest", payload)?;
                let ContainerRequest { pod, container } = request;
                self.started(pod, container);
                Vec::new()
            }
            "StateChange" => {
                let event: StateChangeEvent = decode("StateChangeEvent", payload)?;
                if event.event() == Event::PostStartContainer {
                    self.started(event.pod, event.container);
                }
                Vec::new()
            }
            // The runtime ends; it closes the connection next.
            "Shutdown" => Vec::new(),
            _ => return Ok(None),
        };
        Ok(Some(result))
    }

    fn started(&mut self, pod: Option<PodSandbox>, container: Option<Container>) {
        let (pod, container) = (pod.unwrap_or_default(), container.unwrap_or_default());
        self.plugin.started(&pod, &container);
    }

    /// Collects the parts; the last one is for the plugin.
    fn synchronize(&mut self, payload: &[u8]) -> Result<SynchronizeResponse> {
        self.state += payload.len();
        if self.state > MAX_STATE {
            return Err(Error::StateTooLong);
        }
        let part: SynchronizeRequest = decode("SynchronizeRequest", payload)?;
        let more = part.more;
        let pods = part.pods.into_iter().map(|pod| (pod.id.clone(), pod));
        self.pods.extend(pods);
        self.containers.extend(part.containers);
        if !more {
            let pods = std::mem::take(&mut self.pods);
            let containers = std::mem::take(&mut self.containers);
            self.state = 0;
            let with_pod = |one: Container| (pods.get(&one.pod_sandbox_id).cloned(), one);
            self.plugin
                .synchronize(containers.into_iter().map(with_pod).collect());
        }
        Ok(SynchronizeResponse { more })
    }
}

fn expect(message: &Message, expected: u8, connection: u32) -> Result<()> {
    let kind = message.kind;
    if kind == expected {
        return Ok(());
    }
    Err(Error::Kind {
        kind,
        connection,
        expected,
    })
}

fn decode<T: prost::Message + Default>(what: &'static str, bytes: &[u8]) -> Result<T> {
    T::decode(bytes).map_err(|source| Error::Decode { what, source })
}

fn failure(code: i32, message: String) -> Response {
    Response {
        status: Some(Status { code, message }),
        payload: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
