//! `vistafs nri` and a made-up runtime that calls it by the protocol.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command};

use prost::Message as _;
use vistafs_nri::messages::{
    ConfigureRequest, ConfigureResponse, Container, ContainerAdjustment, ContainerRequest,
    ContainerState, CreateContainerResponse, Event, PLUGIN_SERVICE, PodSandbox,
    RegisterPluginRequest, StateChangeEvent, SynchronizeRequest,
};
use vistafs_nri::mux::{self, PLUGIN, RUNTIME};
use vistafs_nri::ttrpc::{Incoming, Message, Request, Response};
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::field;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{MountOptions, Mounted, binary, wait_until};

use crate::attach::bare;
use crate::repair::Resident;

const LIMIT: u64 = 64 * 1024;

/// The socket of a runtime, and a plugin that connects to it.
struct Node {
    dir: tempfile::TempDir,
    listener: UnixListener,
    plugin: Child,
}

impl Node {
    fn new(mounted: &Mounted, config: &str, words: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("nri.sock")).unwrap();
        std::fs::write(dir.path().join("config.toml"), config).unwrap();
        let plugin = Command::new(binary())
            .arg("--config")
            .arg(dir.path().join("config.toml"))
            .args([OsStr::new("nri"), OsStr::new("--mount")])
            .arg(mounted.root())
            .arg("--socket")
            .arg(dir.path().join("nri.sock"))
            .args(words)
            .stderr(File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Self {
            dir,
            listener,
            plugin,
        }
    }

    /// Accepts a connection, answers the registration, and configures the plugin.
    fn accept(&self) -> Connection {
        let (stream, _) = self.listener.accept().unwrap();
        let (bytes, stream_number) = (Incoming::default(), 1);
        let mut connection = Connection {
            stream,
            bytes,
            stream_number,
        };
        let (number, data) = connection.next(RUNTIME);
        let request = Request::decode(&*data).unwrap();
        assert_eq!(request.service, "nri.pkg.api.v1alpha1.Runtime");
        let registered = RegisterPluginRequest::decode(&*request.payload).unwrap();
        assert_eq!(registered.plugin_name, "vistafs");
        assert_eq!(registered.plugin_idx, "50");
        connection.send(RUNTIME, &Message::response(number, &Response::default()));
        let configure = ConfigureRequest {
            runtime_name: "made-up".to_owned(),
            runtime_version: "1".to_owned(),
        };
        let answer = connection.call("Configure", &configure);
        let events = ConfigureResponse::decode(&*answer).unwrap().events;
        assert_ne!(events & Event::CreateContainer.bit(), 0);
        connection
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.plugin.kill();
        let _ = self.plugin.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// The runtime's end of a connection.
struct Connection {
    stream: UnixStream,
    bytes: Incoming,
    stream_number: u32,
}

impl Connection {
    /// The next message on a connection: its stream and its data.
    fn next(&mut self, connection: u32) -> (u32, Vec<u8>) {
        loop {
            if let Some(message) = self.bytes.take().unwrap() {
                return (message.stream, message.data);
            }
            let frame = mux::read(&mut self.stream).unwrap().unwrap();
            assert_eq!(frame.connection, connection);
            self.bytes.bytes.extend(frame.payload);
        }
    }

    fn send(&mut self, connection: u32, message: &Message) {
        mux::write(&mut self.stream, connection, &message.encode().unwrap()).unwrap();
    }

    /// Calls the plugin: the encoded result.
    fn call(&mut self, method: &str, argument: &impl prost::Message) -> Vec<u8> {
        let request = Request {
            service: PLUGIN_SERVICE.to_owned(),
            method: method.to_owned(),
            payload: argument.encode_to_vec(),
            timeout_nano: 0,
        };
        let number = self.stream_number;
        self.stream_number += 2;
        self.send(PLUGIN, &Message::request(number, &request));
        let (answered, data) = self.next(PLUGIN);
        assert_eq!(answered, number);
        let response = Response::decode(&*data).unwrap();
        assert_eq!(response.status, None);
        response.payload
    }

    fn create(&mut self, pod: &PodSandbox, container: &Container) -> ContainerAdjustment {
        let request = ContainerRequest {
            pod: Some(pod.clone()),
            container: Some(container.clone()),
        };
        let answer = self.call("CreateContainer", &request);
        let answer = CreateContainerResponse::decode(&*answer).unwrap();
        answer.adjust.unwrap_or_default()
    }

    fn started(&mut self, pod: &PodSandbox, container: &Container) {
        let event = StateChangeEvent {
            event: Event::PostStartContainer.into(),
            pod: Some(pod.clone()),
            container: Some(container.clone()),
        };
        let _ = self.call("StateChange", &event);
    }
}

fn pod(name: &str, namespace: &str, annotation: Option<&str>) -> PodSandbox {
    let annotation = annotation.map(|value| ("dev.vistafs".to_owned(), value.to_owned()));
    PodSandbox {
        id: name.to_owned(),
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        annotations: BTreeMap::from_iter(annotation),
        ..PodSandbox::default()
    }
}

/// A container of a pod; with a process, it runs.
fn container(pod: &PodSandbox, pid: Option<u32>) -> Container {
    let state = match pid {
        Some(_) => ContainerState::Running,
        None => ContainerState::Created,
    };
    Container {
        id: format!("box of {}", pod.id),
        pod_sandbox_id: pod.id.clone(),
        name: "box".to_owned(),
        state: state.into(),
        pid: pid.unwrap_or_default(),
        ..Container::default()
    }
}

fn resident(cgroup: &TestCgroup) -> Resident {
    cgroup.limit_memory(LIMIT * 1024);
    bare(cgroup, "", "cat /proc/meminfo")
}

fn has_views(resident: &Resident) -> bool {
    let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", resident.pid())).unwrap();
    mounts.contains(" /proc/meminfo ")
}

#[test]
fn running_containers_get_views_when_the_plugin_connects() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroups = [TestCgroup::new(), TestCgroup::new(), TestCgroup::new()];
    let [running, created, opted_out] = cgroups.each_ref().map(resident);
    let node = Node::new(&mounted, "", &[]);
    let mut runtime = node.accept();
    let pods = [
        pod("running", "default", None),
        pod("created", "default", None),
        pod("opted-out", "default", Some("false")),
    ];
    let containers = vec![
        container(&pods[2], Some(opted_out.pid())),
        // Has ended since the runtime made its list.
        container(&pods[0], Some(u32::MAX)),
        container(&pods[0], Some(running.pid())),
        container(&pods[1], None),
    ];
    let request = SynchronizeRequest {
        pods: pods.to_vec(),
        containers,
        more: false,
    };
    let _ = runtime.call("Synchronize", &request);
    wait_until("the running container has views", || has_views(&running));
    assert!(!has_views(&created));
    runtime.started(&pods[1], &container(&pods[1], Some(created.pid())));
    wait_until("the started container has views", || has_views(&created));
    // It was the first of the list.
    assert!(!has_views(&opted_out));
    for one in [running, created] {
        assert_eq!(field(&one.go_on(), "MemTotal:"), LIMIT);
    }
    assert!(field(&opted_out.go_on(), "MemTotal:") > LIMIT);
}

#[test]
fn new_containers_get_the_hook_unless_vistafs_is_down() {
    require_privileged!();
    let mut mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let resident = resident(&cgroup);
    let node = Node::new(&mounted, "[nri]\nnamespaces = [\"web\"]\n", &[]);
    let mut runtime = node.accept();
    let one = pod("one", "web", None);
    let added = runtime.create(&one, &container(&one, None));
    assert!(added.mounts.is_empty());
    let hooks = added.hooks.unwrap().create_container;
    let [hook] = &*hooks else {
        panic!("{hooks:?}");
    };
    assert_eq!(
        hook.path,
        binary().canonicalize().unwrap().to_str().unwrap()
    );
    let config = node.dir.path().join("config.toml");
    let root = mounted.root();
    let words = [
        "vistafs",
        "--config",
        config.to_str().unwrap(),
        "oci-hook",
        "--mount",
        root.to_str().unwrap(),
    ];
    assert_eq!(hook.args, words);
    for other in [pod("two", "db", None), pod("three", "web", Some("off"))] {
        let added = runtime.create(&other, &container(&other, None));
        assert_eq!(added, ContainerAdjustment::default(), "{}", other.name);
    }

    mounted.die();
    let late = pod("late", "web", None);
    let added = runtime.create(&late, &container(&late, None));
    assert_eq!(added, ContainerAdjustment::default());
    let log = node.log();
    let wanted = "container web/late/box is created without views: vistafs does not answer";
    assert!(log.contains(wanted), "{log}");
    runtime.started(&late, &container(&late, Some(resident.pid())));
    wait_until("the container waits for vistafs", || {
        node.log()
            .contains("running containers without views: 1; vistafs does not answer")
    });
    assert!(!has_views(&resident));
    mounted.start(&MountOptions::default());
    wait_until("the late container has views", || has_views(&resident));
    assert_eq!(field(&resident.go_on(), "MemTotal:"), LIMIT);
}

#[test]
fn the_plugin_connects_again_and_reports_each_cause_once() {
    require_privileged!();
    let mounted = Mounted::new();
    let node = Node::new(&mounted, "", &["--no-hooks"]);
    drop(node.accept());
    // Malformed: longer than any message.
    let mut second = node.accept();
    let long = [0, 0, 0, 1, 255, 255, 255, 255];
    std::io::Write::write_all(&mut second.stream, &long).unwrap();
    let mut third = node.accept();
    let one = pod("one", "default", None);
    let mounts = third.create(&one, &container(&one, None)).mounts;
    let meminfo = mounts
        .iter()
        .find(|mount| mount.destination == "/proc/meminfo")
        .unwrap();
    assert_eq!(
        meminfo.source,
        mounted.path("proc/meminfo").to_str().unwrap()
    );
    let log = node.log();
    for line in [
        "the runtime closed it; retrying",
        "a frame of connection 1 has 4294967295 bytes; at most 4194314 are allowed",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{log}");
    }
    assert_eq!(log.matches("registered with made-up 1").count(), 3, "{log}");
}
