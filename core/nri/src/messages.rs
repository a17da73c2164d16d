//! The messages of NRI that a plugin for mounts and hooks needs, with the fields that it needs.
//!
//! The definition is `pkg/api/api.proto` of github.com/containerd/nri, package `nri.pkg.api.v1alpha1`. A
//! field that is not here is skipped when it arrives, and so has its default in what is sent.

use std::collections::BTreeMap;

/// The service of the runtime, which the plugin calls.
pub const RUNTIME_SERVICE: &str = "nri.pkg.api.v1alpha1.Runtime";
/// The service of the plugin, which the runtime calls.
pub const PLUGIN_SERVICE: &str = "nri.pkg.api.v1alpha1.Plugin";

/// The argument of `Runtime.RegisterPlugin`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RegisterPluginRequest {
    /// The name of the plugin.
    #[prost(string, tag = "1")]
    pub plugin_name: String,
    /// Two digits: plugins are called in the order of these.
    #[prost(string, tag = "2")]
    pub plugin_idx: String,
}

/// The argument of `Plugin.Configure`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ConfigureRequest {
    /// `containerd` or `cri-o`.
    #[prost(string, tag = "2")]
    pub runtime_name: String,
    /// The version of the runtime.
    #[prost(string, tag = "3")]
    pub runtime_version: String,
}

/// The result of `Plugin.Configure`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ConfigureResponse {
    /// The bit below the number of each wanted [`Event`].
    #[prost(int32, tag = "2")]
    pub events: i32,
}

/// The argument of `Plugin.Synchronize`: all pods and containers.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct SynchronizeRequest {
    /// Pods.
    #[prost(message, repeated, tag = "1")]
    pub pods: Vec<PodSandbox>,
    /// Their containers.
    #[prost(message, repeated, tag = "2")]
    pub containers: Vec<Container>,
    /// Another request follows with more of both.
    #[prost(bool, tag = "3")]
    pub more: bool,
}

/// The result of `Plugin.Synchronize`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct SynchronizeResponse {
    /// As in the request, from a plugin that collects the parts.
    #[prost(bool, tag = "2")]
    pub more: bool,
}

/// The argument of `Plugin.CreateContainer`, and of the calls of newer runtimes for one event.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ContainerRequest {
    /// The pod.
    #[prost(message, optional, tag = "1")]
    pub pod: Option<PodSandbox>,
    /// A container of it.
    #[prost(message, optional, tag = "2")]
    pub container: Option<Container>,
}

/// The result of `Plugin.CreateContainer`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct CreateContainerResponse {
    /// Changes of the container's specification.
    #[prost(message, optional, tag = "1")]
    pub adjust: Option<ContainerAdjustment>,
}

/// The argument of `Plugin.StateChange`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct StateChangeEvent {
    /// The event.
    #[prost(enumeration = "Event", tag = "1")]
    pub event: i32,
    /// The pod.
    #[prost(message, optional, tag = "2")]
    pub pod: Option<PodSandbox>,
    /// The container, if the event is of one.
    #[prost(message, optional, tag = "3")]
    pub container: Option<Container>,
}

/// Events that a plugin can subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Event {
    /// None.
    Unknown = 0,
    /// A container is created.
    CreateContainer = 4,
    /// A container was started.
    PostStartContainer = 7,
}

impl Event {
    /// The bit of a subscription.
    #[must_use]
    pub fn bit(self) -> i32 {
        match self {
            Self::Unknown => 0,
            event => 1 << (event as i32 - 1),
        }
    }
}

/// A pod.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PodSandbox {
    /// The runtime's name of the sandbox.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The name of the pod.
    #[prost(string, tag = "2")]
    pub name: String,
    /// The namespace of Kubernetes.
    #[prost(string, tag = "4")]
    pub namespace: String,
    /// Labels.
    #[prost(btree_map = "string, string", tag = "5")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[prost(btree_map = "string, string", tag = "6")]
    pub annotations: BTreeMap<String, String>,
}

/// A container.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Container {
    /// The runtime's name of the container.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The sandbox of its pod.
    #[prost(string, tag = "2")]
    pub pod_sandbox_id: String,
    /// The name in its pod.
    #[prost(string, tag = "3")]
    pub name: String,
    /// Its state.
    #[prost(enumeration = "ContainerState", tag = "4")]
    pub state: i32,
    /// Labels.
    #[prost(btree_map = "string, string", tag = "5")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[prost(btree_map = "string, string", tag = "6")]
    pub annotations: BTreeMap<String, String>,
    /// Mounts of its specification.
    #[prost(message, repeated, tag = "9")]
    pub mounts: Vec<Mount>,
    /// Its first process; 0 if it does not run.
    #[prost(uint32, tag = "12")]
    pub pid: u32,
}

/// States of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum ContainerState {
    /// Not known.
    Unknown = 0,
    /// Created, not started.
    Created = 1,
    /// Frozen.
    Paused = 2,
    /// Started.
    Running = 3,
    /// Ended.
    Stopped = 4,
}

/// A mount of a container.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Mount {
    /// The path in the container.
    #[prost(string, tag = "1")]
    pub destination: String,
    /// The type of the file system, or `bind`.
    #[prost(string, tag = "2")]
    pub kind: String,
    /// The path on the host.
    #[prost(string, tag = "3")]
    pub source: String,
    /// Options of mount(8).
    #[prost(string, repeated, tag = "4")]
    pub options: Vec<String>,
}

/// Changes of a container that is created.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ContainerAdjustment {
    /// More mounts.
    #[prost(message, repeated, tag = "3")]
    pub mounts: Vec<Mount>,
    /// More hooks.
    #[prost(message, optional, tag = "5")]
    pub hooks: Option<Hooks>,
}

/// Hooks of the OCI specification.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Hooks {
    /// Those of the kind `createContainer`.
    #[prost(message, repeated, tag = "3")]
    pub create_container: Vec<Hook>,
}

/// A hook.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Hook {
    /// The program, by its path on the host.
    #[prost(string, tag = "1")]
    pub path: String,
    /// Its arguments, the first being its name.
    #[prost(string, repeated, tag = "2")]
    pub args: Vec<String>,
    /// The runtime kills it after this many seconds.
    #[prost(message, optional, tag = "4")]
    pub timeout: Option<OptionalInt>,
}

/// A number that may be absent.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct OptionalInt {
    /// The number.
    #[prost(int64, tag = "1")]
    pub value: i64,
}
