//! The GPUs of the host: their nodes in /dev, and the information of their drivers.
//!
//! A GPU may have several device nodes: NVIDIA's own, and one of the kernel's for rendering. Which belong
//! together is determined by their bus address. No device is opened.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use vistafs_host::HostError;

/// A character device. NVIDIA's major number is reserved, and the minor one is in the name of the node,
/// as for the kernel's own (Linux `Documentation/admin-guide/devices.txt`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl Device {
    /// `/dev/nvidiaMINOR`
    pub(crate) const fn nvidia(minor: u32) -> Self {
        Self { major: 195, minor }
    }

    /// `/dev/dri/renderDMINOR`
    pub(crate) const fn render(minor: u32) -> Self {
        Self { major: 226, minor }
    }
}

/// A GPU.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gpu {
    /// The name of its first node: `nvidia0`, `renderD128`.
    pub(crate) name: String,
    /// Its nodes, with their paths.
    pub(crate) nodes: Vec<(Device, String)>,
    /// Its place on the bus: `0000:01:00.0`.
    pub(crate) bus: Option<String>,
    /// The kernel's driver.
    pub(crate) driver: Option<String>,
    /// Vendor and model: `10DE:2204`.
    pub(crate) id: Option<String>,
    /// Information of NVIDIA's driver.
    pub(crate) told: String,
}

impl Gpu {
    fn new(name: String, device: Device, path: String) -> Self {
        Self {
            name,
            nodes: vec![(device, path)],
            bus: None,
            driver: None,
            id: None,
            told: String::new(),
        }
    }
}

/// All of them, by name of the first node.
///
/// # Errors
/// A directory or file that is there and cannot be read.
pub(crate) fn find(root: &Path) -> Result<Vec<Gpu>, HostError> {
    let mut gpus = nvidia(root)?;
    for minor in numbered(&root.join("dev/dri"), "renderD")? {
        let name = format!("renderD{minor}");
        let uevent = root.join("sys/class/drm").join(&name).join("device/uevent");
        let uevent = text(&uevent)?;
        let value = |key: &str| {
            let mut found = uevent.lines().filter_map(|line| line.split_once('='));
            found.find(|(k, _)| *k == key).map(|(_, v)| v.to_owned())
        };
        let bus = value("PCI_SLOT_NAME");
        let path = format!("/dev/dri/{name}");
        let known = gpus.iter_mut().find(|gpu| bus.is_some() && gpu.bus == bus);
        let gpu = match known {
            Some(known) => {
                known.nodes.push((Device::render(minor), path));
                known
            }
            None => {
                gpus.push(Gpu::new(name, Device::render(minor), path));
                let Some(new) = gpus.last_mut() else { continue };
                new.bus = bus;
                new
            }
        };
        gpu.driver = value("DRIVER");
        gpu.id = value("PCI_ID");
    }
    Ok(gpus)
}

/// NVIDIA's, which have nodes whether or not its driver is one of the kernel's for rendering.
fn nvidia(root: &Path) -> Result<Vec<Gpu>, HostError> {
    let mut gpus = Vec::new();
    for minor in numbered(&root.join("dev"), "nvidia")? {
        let name = format!("nvidia{minor}");
        let path = format!("/dev/{name}");
        gpus.push(Gpu::new(name, Device::nvidia(minor), path));
    }
    let top = root.join("proc/driver/nvidia/gpus");
    for directory in names(&top)? {
        let told = text(&top.join(&directory).join("information"))?;
        let value = |key: &str| {
            let mut found = told.lines().filter_map(|line| line.split_once(':'));
            found.find(|(k, _)| k.trim() == key).map(|(_, v)| v.trim())
        };
        let Some(minor) = value("Device Minor").and_then(|minor| minor.parse().ok()) else {
            continue;
        };
        let is_it = |gpu: &&mut Gpu| gpu.nodes.iter().any(|(d, _)| *d == Device::nvidia(minor));
        if let Some(gpu) = gpus.iter_mut().find(is_it) {
            gpu.driver = Some("nvidia".to_owned());
            // The kernel writes it in lower case.
            gpu.bus = value("Bus Location").map(str::to_ascii_lowercase);
            gpu.told = told;
        }
    }
    Ok(gpus)
}

/// The numbers at the end of names in a directory that begin so, ascending.
fn numbered(directory: &Path, start: &str) -> Result<Vec<u32>, HostError> {
    let names = names(directory)?;
    let number = |name: &String| {
        let rest = name.strip_prefix(start)?;
        let number: u32 = rest.parse().ok()?;
        // `+1` and `01` are other names.
        (number.to_string() == rest).then_some(number)
    };
    let mut numbers: Vec<u32> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The names in a directory; none if the directory does not exist.
fn names(directory: &Path) -> Result<Vec<String>, HostError> {
    let failed = |source| HostError::Io {
        path: directory.to_owned(),
        source,
    };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        // No name that is looked for is anything but ASCII.
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    Ok(names)
}

/// The text of a file; empty if there is none.
fn text(path: &Path) -> Result<String, HostError> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(HostError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}
