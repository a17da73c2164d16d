//! A plugin and a made-up runtime, each at its end of a socket pair.

use std::os::unix::net::UnixStream;
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::messages::{ContainerState, Hook, Hooks, Mount};

/// Notes the calls, and mounts one file.
#[derive(Default)]
struct Noting {
    calls: Vec<String>,
}

impl Plugin for Noting {
    fn configured(&mut self, runtime: &ConfigureRequest) {
        let ConfigureRequest {
            runtime_name,
            runtime_version,
        } = runtime;
        self.calls.push(format!("{runtime_name} {runtime_version}"));
    }

    fn synchronize(&mut self, containers: Vec<(Option<PodSandbox>, Container)>) {
        let name = |(pod, container): (Option<PodSandbox>, Container)| {
            let pod = pod.map(|pod| pod.name).unwrap_or_default();
            format!("{pod}/{} {}", container.name, container.pid)
        };
        self.calls.extend(containers.into_iter().map(name));
    }

    fn create(&mut self, pod: &PodSandbox, container: &Container) -> ContainerAdjustment {
        self.calls
            .push(format!("create {}/{}", pod.namespace, container.name));
        adjustment()
    }

    fn started(&mut self, _: &PodSandbox, container: &Container) {
        self.calls
            .push(format!("started {} {}", container.name, container.pid));
    }
}

fn adjustment() -> ContainerAdjustment {
    let hook = Hook {
        path: "/usr/bin/vistafs".to_owned(),
        args: vec!["vistafs".to_owned(), "oci-hook".to_owned()],
        timeout: None,
    };
    ContainerAdjustment {
        // Longer than one frame can be.
        mounts: vec![Mount::default(); 5000],
        hooks: Some(Hooks {
            create_container: vec![hook],
        }),
    }
}

/// The runtime's end.
struct Runtime {
    stream: UnixStream,
    answers: Incoming,
    next: u32,
    plugin: thread::JoinHandle<(Result<()>, Vec<String>)>,
}

impl Runtime {
    fn start() -> Self {
        let (stream, theirs) = UnixStream::pair().unwrap();
        let plugin = thread::spawn(move || {
            let mut plugin = Noting::default();
            let identity = Identity {
                name: "vistafs".to_owned(),
                index: "50".to_owned(),
            };
            let served = serve(theirs, &identity, &mut plugin);
            (served, plugin.calls)
        });
        let answers = Incoming::default();
        let next = 1;
        Self {
            stream,
            answers,
            next,
            plugin,
        }
    }

    /// Reads the registration and answers it.
    fn register(&mut self, status: Option<Status>) -> RegisterPluginRequest {
        let frame = mux::read(&mut self.stream).unwrap().unwrap();
        assert_eq!(frame.connection, RUNTIME);
        let mut incoming = Incoming {
            bytes: frame.payload,
        };
        let message = incoming.take().unwrap().unwrap();
        assert_eq!((message.stream, message.kind), (1, REQUEST));
        let request = Request::decode(&*message.data).unwrap();
        assert_eq!(request.service, RUNTIME_SERVICE);
        assert_eq!(request.method, "RegisterPlugin");
        let response = Response {
            status,
            payload: Vec::new(),
        };
        let answer = Message::response(message.stream, &response);
        mux::write(&mut self.stream, RUNTIME, &answer.encode().unwrap()).unwrap();
        RegisterPluginRequest::decode(&*request.payload).unwrap()
    }

    fn call(&mut self, method: &str, argument: &impl prost::Message) -> Response {
        self.call_bytes(PLUGIN_SERVICE, method, argument.encode_to_vec())
    }

    fn call_bytes(&mut self, service: &str, method: &str, payload: Vec<u8>) -> Response {
        let request = Request {
            service: service.to_owned(),
            method: method.to_owned(),
            payload,
            timeout_nano: 2_000_000_000,
        };
        let message = Message::request(self.next, &request);
        mux::write(&mut self.stream, PLUGIN, &message.encode().unwrap()).unwrap();
        loop {
            if let Some(answer) = self.answers.take().unwrap() {
                assert_eq!((answer.stream, answer.kind), (self.next, RESPONSE));
                self.next += 2;
                return Response::decode(&*answer.data).unwrap();
            }
            let frame = mux::read(&mut self.stream).unwrap().unwrap();
            assert_eq!(frame.connection, PLUGIN);
            assert!(frame.payload.len() <= 4096);
            self.answers.bytes.extend(frame.payload);
        }
    }

    /// Closes the connection; the result of the plugin, and its calls.
    fn end(self) -> (Result<()>, Vec<String>) {
        drop(self.stream);
        self.plugin.join().unwrap()
    }
}

fn box_of(pod: &str) -> Container {
    Container {
        id: "c1".to_owned(),
        pod_sandbox_id: pod.to_owned(),
        name: "box".to_owned(),
        state: ContainerState::Running.into(),
        pid: 4242,
        ..Container::default()
    }
}

fn pod() -> PodSandbox {
    PodSandbox {
        id: "s1".to_owned(),
        name: "pod".to_owned(),
        namespace: "default".to_owned(),
        ..PodSandbox::default()
    }
}

#[test]
fn a_plugin_registers_and_answers_each_call() {
    let mut runtime = Runtime::start();
    let registered = runtime.register(None);
    assert_eq!(registered.plugin_name, "vistafs");
    assert_eq!(registered.plugin_idx, "50");
    let configure = ConfigureRequest {
        runtime_name: "containerd".to_owned(),
        runtime_version: "1.7.24".to_owned(),
    };
    let answer = runtime.call("Configure", &configure);
    let events = ConfigureResponse::decode(&*answer.payload).unwrap().events;
    assert_eq!(events, 1 << 3 | 1 << 6);
    // In two parts: the container's pod comes first.
    let part = |pods, containers, more| SynchronizeRequest {
        pods,
        containers,
        more,
    };
    for (part, more) in [
        (part(vec![pod()], Vec::new(), true), true),
        (
            part(Vec::new(), vec![box_of("s1"), box_of("s2")], false),
            false,
        ),
    ] {
        let answer = runtime.call("Synchronize", &part);
        let answer = SynchronizeResponse::decode(&*answer.payload).unwrap();
        assert_eq!(answer.more, more);
    }
    let created = ContainerRequest {
        pod: Some(pod()),
        container: Some(box_of("s1")),
    };
    let answer = runtime.call("CreateContainer", &created);
    let answer = CreateContainerResponse::decode(&*answer.payload).unwrap();
    assert_eq!(answer.adjust, Some(adjustment()));
    let event = StateChangeEvent {
        event: Event::PostStartContainer.into(),
        pod: Some(pod()),
        container: Some(box_of("s1")),
    };
    assert_eq!(runtime.call("StateChange", &event), Response::default());
    let answer = runtime.call("PostStartContainer", &created);
    assert_eq!(answer, Response::default());
    let (served, calls) = runtime.end();
    served.unwrap();
    assert_eq!(
        calls,
        [
            "containerd 1.7.24",
            "pod/box 4242",
            "/box 4242",
            "create default/box",
            "started box 4242",
            "started box 4242",
        ]
    );
}

#[test]
fn a_refused_registration_is_an_error_with_the_runtimes_words() {
    let mut runtime = Runtime::start();
    let _ = runtime.register(Some(Status {
        code: 3,
        message: "invalid index".to_owned(),
    }));
    let (served, _) = runtime.end();
    assert_eq!(
        served.unwrap_err().to_string(),
        "the runtime refused the plugin: invalid index (status 3)"
    );
}

#[test]
fn an_unknown_method_and_a_malformed_argument_fail_alone() {
    let mut runtime = Runtime::start();
    let _ = runtime.register(None);
    let code = |response: Response| response.status.unwrap().code;
    let answer = runtime.call_bytes(PLUGIN_SERVICE, "UpdateContainer", Vec::new());
    assert_eq!(code(answer), UNIMPLEMENTED);
    let answer = runtime.call_bytes("other.Plugin", "Configure", Vec::new());
    assert_eq!(code(answer), UNIMPLEMENTED);
    let answer = runtime.call_bytes(PLUGIN_SERVICE, "CreateContainer", vec![0xff; 9]);
    assert_eq!(code(answer), INVALID_ARGUMENT);
    let answer = runtime.call("CreateContainer", &ContainerRequest::default());
    assert_eq!(answer.status, None);
    let (served, calls) = runtime.end();
    served.unwrap();
    assert_eq!(calls, ["create /"]);
}

#[test]
fn a_response_that_was_not_asked_for_ends_the_connection() {
    let mut runtime = Runtime::start();
    let _ = runtime.register(None);
    let again = Message::response(1, &Response::default());
    mux::write(&mut runtime.stream, RUNTIME, &again.encode().unwrap()).unwrap();
    let (served, _) = runtime.end();
    assert_eq!(
        served.unwrap_err().to_string(),
        "a response on stream 1, where no request is pending"
    );
}

/// Recorded bytes of a runtime, for a plugin without a connection.
struct Recorded<'b>(&'b [u8]);

impl Read for Recorded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Recorded<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

proptest! {
    #[test]
    fn no_bytes_of_a_runtime_cause_a_panic(
        messages in prop::collection::vec((1_u32..4, 0_u8..4, prop::collection::vec(any::<u8>(), 0..60)), 0..6),
        method in prop::sample::select(vec!["Configure", "Synchronize", "CreateContainer", "StateChange"]),
    ) {
        let mut sent = Vec::new();
        for (connection, kind, bytes) in messages {
            let request = Request {
                service: PLUGIN_SERVICE.to_owned(),
                method: method.to_owned(),
                payload: bytes.clone(),
                timeout_nano: 0,
            };
            // Half of the messages are malformed in their data, half in their argument.
            let data = if bytes.len() % 2 == 0 { request.encode_to_vec() } else { bytes };
            let message = Message { stream: 1, kind, data };
            mux::write(&mut sent, connection, &message.encode().unwrap()).unwrap();
        }
        let identity = Identity { name: String::new(), index: String::new() };
        let _ = serve(Recorded(&sent), &identity, &mut Noting::default());
    }
}
