//! The values for templates and commands.
//!
//! contrib/doc/CUSTOM_FILES.md lists names, meanings and units from here. A limit shows `max` where
//! there is none; a value that is not counted shows `-`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use vistafs_cgroup::{MemoryWanted, SwapFigures};
use vistafs_text::{CpuSet, Limit, meminfo};
use vistafs_view::ViewError;

use crate::scene::Scene;

/// A named value.
#[derive(Debug)]
pub struct Value {
    /// Its name: `memory.limit`.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// Whether it is a number of bytes, which filters take.
    pub is_bytes: bool,
    read: fn(&mut Scene<'_, '_>) -> Result<Shown, ViewError>,
}

/// By its name.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Value {}

/// A value at one reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    Number(u64),
    Max,
    NotCounted,
    Text(Vec<u8>),
}

/// Another unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// 2^10 bytes
    Kib,
    /// 2^20 bytes
    Mib,
    /// 2^30 bytes
    Gib,
}

/// The filters: name, function, one line for people.
pub const FILTERS: &[(&str, Filter, &str)] = &[
    ("kib", Filter::Kib, "in KiB, rounded down"),
    ("mib", Filter::Mib, "in MiB, rounded down"),
    ("gib", Filter::Gib, "in GiB, rounded down"),
];

/// All values.
pub const VALUES: &[Value] = &[
    bytes("memory.limit", "the memory that it may use", memory_limit),
    bytes(
        "memory.total",
        "the same, or the host's memory if that is less",
        memory_total,
    ),
    bytes(
        "memory.usage",
        "the memory in use, page cache included",
        memory_usage,
    ),
    bytes("swap.usage", "the swap in use", swap_usage),
    other("cpu.count", "how many CPUs it is shown", |scene| {
        Ok(Shown::Number(scene.cpus()?.0.len() as u64))
    }),
    other("cpu.list", "which CPUs: `0-1,4`", |scene| {
        Ok(list(&scene.cpus()?.0))
    }),
    other(
        "cpu.quota",
        "the CPU time that it may use, in CPUs: `1.50`",
        cpu_quota,
    ),
    other("node.list", "the nodes that it gets memory from", node_list),
    other(
        "cgroup.path",
        "its cgroup, as the host calls it; the host's is `/`",
        |scene| Ok(Shown::Text(path(scene))),
    ),
    other(
        "container.name",
        "the last part of that; the host's is `host`",
        name,
    ),
    other(
        "container.age",
        "for how long it has been running, in seconds",
        |scene| {
            let host = scene.host();
            let age = scene
                .container()
                .map_or_else(|| host.boottime(), |one| one.age(host));
            Ok(Shown::Number(age.as_secs()))
        },
    ),
    bytes("host.memory", "the host's memory", |scene| {
        Ok(Shown::Number(host_memory(scene, b"MemTotal")?))
    }),
    other(
        "host.cpus",
        "how many CPUs of the host are online",
        |scene| Ok(Shown::Number(scene.host().online_cpus()?.len() as u64)),
    ),
    other("host.name", "the host's name", |_| {
        Ok(Shown::Text(
            rustix::system::uname().nodename().to_bytes().to_vec(),
        ))
    }),
    other("host.kernel", "the kernel's release", |_| {
        Ok(Shown::Text(
            rustix::system::uname().release().to_bytes().to_vec(),
        ))
    }),
];

type Read = fn(&mut Scene<'_, '_>) -> Result<Shown, ViewError>;

const fn bytes(name: &'static str, summary: &'static str, read: Read) -> Value {
    Value {
        name,
        summary,
        is_bytes: true,
        read,
    }
}

const fn other(name: &'static str, summary: &'static str, read: Read) -> Value {
    Value {
        name,
        summary,
        is_bytes: false,
        read,
    }
}

impl Value {
    pub(crate) fn read(&self, scene: &mut Scene<'_, '_>) -> Result<Shown, ViewError> {
        (self.read)(scene)
    }

    /// The environment variable for commands: `VISTAFS_MEMORY_LIMIT`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("VISTAFS_{}", self.name.replace('.', "_").to_uppercase())
    }
}

impl Shown {
    pub(crate) fn push(&self, filter: Option<Filter>, out: &mut Vec<u8>) {
        let shift = match filter {
            None => 0,
            Some(Filter::Kib) => 10,
            Some(Filter::Mib) => 20,
            Some(Filter::Gib) => 30,
        };
        match self {
            Self::Number(number) => out.extend_from_slice((number >> shift).to_string().as_bytes()),
            Self::Max => out.extend_from_slice(b"max"),
            Self::NotCounted => out.push(b'-'),
            Self::Text(text) => out.extend_from_slice(text),
        }
    }
}

impl From<Limit> for Shown {
    fn from(limit: Limit) -> Self {
        match limit {
            Limit::Value(value) => Self::Number(value),
            Limit::Max => Self::Max,
        }
    }
}

fn list(set: &CpuSet) -> Shown {
    let mut text = Vec::new();
    set.push_list(&mut text);
    Shown::Text(text)
}

/// Bytes.
fn host_memory(scene: &Scene<'_, '_>, key: &[u8]) -> Result<u64, ViewError> {
    let text = scene.host().text("proc/meminfo")?;
    Ok(meminfo::get(&text, key).unwrap_or(0).saturating_mul(1024))
}

fn memory_limit(scene: &mut Scene<'_, '_>) -> Result<Shown, ViewError> {
    let Scene::Inside(cx) = scene else {
        return Ok(Shown::Max);
    };
    Ok(cx
        .memory(MemoryWanted::LIMIT)?
        .map_or(Shown::Max, |memory| memory.limit.into()))
}

fn memory_total(scene: &mut Scene<'_, '_>) -> Result<Shown, ViewError> {
    let total = host_memory(scene, b"MemTotal")?;
    let limit = match scene {
        Scene::Inside(cx) => cx
            .memory(MemoryWanted::LIMIT)?
            .map_or(Limit::Max, |memory| memory.limit),
        Scene::Outside(..) => Limit::Max,
    };
    Ok(Shown::Number(limit.or_total(total)))
}

fn memory_usage(scene: &mut Scene<'_, '_>) -> Result<Shown, ViewError> {
    match scene {
        Scene::Inside(cx) => {
            let memory = cx.memory(MemoryWanted::USAGE)?;
            Ok(memory.map_or(Shown::NotCounted, |memory| Shown::Number(memory.usage)))
        }
        Scene::Outside(..) => {
            let [total, free] =
                [b"MemTotal".as_slice(), b"MemFree"].map(|key| host_memory(scene, key));
            Ok(Shown::Number(total?.saturating_sub(free?)))
        }
    }
}

fn swap_usage(scene: &mut Scene<'_, '_>) -> Result<Shown, ViewError> {
    let Scene::Inside(cx) = scene else {
        let [total, free] =
            [b"SwapTotal".as_slice(), b"SwapFree"].map(|key| host_memory(scene, key));
        return Ok(Shown::Number(total?.saturating_sub(free?)));
    };
    let wanted = MemoryWanted {
        swap: true,
        ..MemoryWanted::USAGE
    };
    let Some(memory) = cx.memory(wanted)? else {
        return Ok(Shown::NotCounted);
    };
    Ok(match memory.swap {
        SwapFigures::NotAccounted => Shown::NotCounted,
        SwapFigures::Apart { usage, .. } => Shown::Number(usage),
        SwapFigures::Pool { usage, .. } => Shown::Number(usage.saturating_sub(memory.usage)),
    })
}

fn cpu_quota(scene: &mut Scene<'_, '_>) -> Result<Shown, ViewError> {
    let quota = match scene.container() {
        Some(container) => container.cpu_quota(&mut Vec::new())?,
        None => None,
    };
    Ok(quota.map_or(Shown::Max, |quota| {
        let hundredths = u128::from(quota.quota) * 100 / u128::from(quota.period.max(1));
        Shown::Text(format!("{}.{:02}", hundredths / 100, hundredths % 100).into_bytes())
    }))
}

fn node_list(scene: &mut Scene<'_, '_>) -> Result<Shown, ViewError> {
    match scene {
        Scene::Inside(cx) => Ok(list(&cx.visible_nodes()?)),
        Scene::Outside(host, _) => match host.text("sys/devices/system/node/online") {
            Ok(text) => Ok(Shown::Text(text.trim_ascii().to_vec())),
            // A kernel without NUMA has all memory in node 0.
            Err(error) if error.is_not_found() => Ok(Shown::Text(b"0".to_vec())),
            Err(error) => Err(error.into()),
        },
    }
}

fn path(scene: &Scene<'_, '_>) -> Vec<u8> {
    let path = scene.container().map(|one| one.path().into_os_string());
    path.map_or_else(|| b"/".to_vec(), |path| path.as_bytes().to_vec())
}

fn name(scene: &mut Scene<'_, '_>) -> Result<Shown, ViewError> {
    let path = path(scene);
    let path = std::path::Path::new(OsStr::from_bytes(&path));
    let name = path
        .file_name()
        .map_or(b"host".as_slice(), OsStrExt::as_bytes);
    Ok(Shown::Text(name.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_rounded_down_and_max_stays() {
        let pushed = |shown: Shown, filter| {
            let mut out = Vec::new();
            shown.push(filter, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(pushed(Shown::Number(2047), Some(Filter::Kib)), "1");
        assert_eq!(
            pushed(Shown::Number(u64::MAX), Some(Filter::Gib)),
            "17179869183"
        );
        assert_eq!(pushed(Shown::Max, Some(Filter::Mib)), "max");
        assert_eq!(pushed(Shown::NotCounted, None), "-");
    }

    #[test]
    fn names_are_different_and_have_variables() {
        let mut names: Vec<_> = VALUES.iter().map(|value| value.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), VALUES.len());
        assert_eq!(VALUES[0].variable(), "VISTAFS_MEMORY_LIMIT");
    }
}
