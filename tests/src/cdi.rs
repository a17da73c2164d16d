//! A reader of Container Device Interface files (CDI, specification 0.5.0), as strict as the specification:
//! an unknown key, a missing field or a name with other characters is an error.
//!
//! Podman reads the same files in `tests/tests/machine/podman.rs`.

use serde::Deserialize;
use serde_json::{Value, json};

/// A CDI file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    cdi_version: String,
    kind: String,
    devices: Vec<Device>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Device {
    name: String,
    container_edits: Edits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edits {
    #[serde(default)]
    mounts: Vec<Mount>,
    #[serde(default)]
    hooks: Vec<Hook>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Mount {
    host_path: String,
    container_path: String,
    options: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Hook {
    hook_name: String,
    path: String,
    args: Vec<String>,
    timeout: u32,
}

/// The hooks that the specification names.
const HOOKS: [&str; 6] = [
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
];

impl Spec {
    /// Reads and checks a CDI file.
    #[must_use]
    #[track_caller]
    pub fn read(text: &str) -> Self {
        let spec: Self = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert_eq!(spec.cdi_version, "0.5.0");
        let (vendor, class) = spec.kind.split_once('/').unwrap();
        assert!(is_name(vendor, "-_.") && is_name(class, "-_"), "{spec:?}");
        assert!(!spec.devices.is_empty(), "{spec:?}");
        for (index, device) in spec.devices.iter().enumerate() {
            assert!(is_name(&device.name, "-_.:"), "{device:?}");
            let is_same = |other: &Device| other.name == device.name;
            assert!(!spec.devices[..index].iter().any(is_same), "{device:?}");
            let edits = &device.container_edits;
            assert!(edits.mounts.len() + edits.hooks.len() > 0, "{device:?}");
            for mount in &edits.mounts {
                let is_absolute = |path: &str| path.starts_with('/');
                assert!(
                    is_absolute(&mount.host_path) && is_absolute(&mount.container_path),
                    "{mount:?}"
                );
            }
            for hook in &edits.hooks {
                assert!(HOOKS.contains(&hook.hook_name.as_str()), "{hook:?}");
                assert!(hook.path.starts_with('/') && hook.timeout > 0, "{hook:?}");
            }
        }
        spec
    }

    /// Makes the edits of a device in the configuration of an OCI bundle, as a runtime does.
    #[track_caller]
    pub fn apply(&self, device: &str, config: &mut Value) {
        let device = self.devices.iter().find(|one| one.name == device);
        let edits = &device.expect("the device is in the file").container_edits;
        let mounts = config["mounts"].as_array_mut().unwrap();
        mounts.extend(edits.mounts.iter().map(|mount| {
            json!({
                "source": mount.host_path,
                "destination": mount.container_path,
                "type": "none",
                "options": mount.options,
            })
        }));
        for hook in &edits.hooks {
            let hooks = &mut config["hooks"][&hook.hook_name];
            if hooks.is_null() {
                *hooks = json!([]);
            }
            hooks.as_array_mut().unwrap().push(json!({
                "path": hook.path,
                "args": hook.args,
                "timeout": hook.timeout,
            }));
        }
    }
}

/// A letter, then letters, digits and `others`, the last of them no `others`.
fn is_name(name: &str, others: &str) -> bool {
    let is_inside = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(is_inside)
}
