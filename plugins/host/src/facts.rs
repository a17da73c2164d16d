//! The functions that fill in facts.

use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

use vistafs_cgroup::{Cgroup, MemoryWanted, SwapFigures, Version};
use vistafs_host::{HostError, PidTranslation};
use vistafs_plugin_abi as abi;
use vistafs_text::Limit;
use vistafs_view::Errno;

use crate::fill::{fill, wanted};
use crate::functions::{answer, told};
use crate::scene::Scene;
use crate::sink::Text;
use crate::table::bytes;

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn limit(limit: Limit) -> u64 {
    limit.or_total(abi::NO_LIMIT)
}

/// A failure of vistafs: logged, unless the plugin explains another.
fn failed(scene: &Scene, error: &HostError) -> Errno {
    scene.explain(error.to_string().as_bytes());
    Errno::IO
}

pub(crate) unsafe extern "C" fn caller(context: *const abi::Context, out: *mut abi::Caller) -> i32 {
    answer(|| {
        // SAFETY: plugins promise it.
        let scene = unsafe { Scene::of(context) }?;
        let filled = abi::Caller {
            size: 0,
            thread: scene.asker.tid,
            uid: scene.asker.uid,
            gid: scene.asker.gid,
        };
        // SAFETY: as above.
        unsafe { fill(out, &filled) }
    })
}

pub(crate) unsafe extern "C" fn pid_for_caller(
    context: *const abi::Context,
    pid: u32,
    shown: *mut u32,
) -> i32 {
    answer(|| {
        // SAFETY: plugins promise it.
        let scene = unsafe { Scene::of(context) }?;
        let ended = |error: HostError| match error {
            HostError::NotFound { .. } => Errno::SRCH,
            error => failed(scene, &error),
        };
        let of_caller = PidTranslation::of_thread(&scene.host, scene.asker.tid);
        let mut of_caller = of_caller.map_err(ended)?;
        let found = of_caller.to_caller(&scene.host, pid).map_err(ended)?;
        if shown.is_null() {
            return Err(Errno::FAULT);
        }
        // SAFETY: as above.
        unsafe { shown.write(found.unwrap_or(0)) };
        Ok(0)
    })
}

pub(crate) unsafe extern "C" fn container(
    context: *const abi::Context,
    out: *mut abi::Container,
) -> i32 {
    answer(|| {
        // SAFETY: plugins promise it.
        let scene = unsafe { Scene::of(context) }?;
        let container = scene.container()?;
        let offset = container.boottime_offset();
        let filled = abi::Container {
            size: 0,
            id: id(&container.mark()),
            name: abi::Str::new(scene.name()),
            age: nanoseconds(container.age(&scene.host)),
            start: nanoseconds(container.start()),
            boottime_offset_seconds: offset.seconds,
            boottime_offset_nanoseconds: offset.nanoseconds,
            moves: container.moves(),
        };
        // SAFETY: as above.
        unsafe { fill(out, &filled) }
    })
}

/// ID of a container's mark, the same in every process and version.
fn id(mark: &[u8]) -> u64 {
    use std::hash::Hasher;
    let mut hasher = siphasher::sip::SipHasher13::new_with_keys(0x7669_7374_6166_7300, 1);
    hasher.write(mark);
    hasher.finish()
}

unsafe fn put_out_cgroup(cgroup: &Arc<Cgroup>, out: *mut abi::Cgroup) -> Result<i32, Errno> {
    let filled = abi::Cgroup {
        size: 0,
        version: match cgroup.version() {
            Version::V1 => 1,
            Version::V2 => 2,
        },
        directory: cgroup.own().as_fd().as_raw_fd(),
        hierarchy: abi::Str::new(cgroup.hierarchy().name().as_bytes()),
        path: abi::Str::new(cgroup.path().as_os_str().as_bytes()),
    };
    // SAFETY: what the caller promises.
    unsafe { fill(out, &filled) }
}

pub(crate) unsafe extern "C" fn cgroup(
    context: *const abi::Context,
    controller: abi::Str,
    out: *mut abi::Cgroup,
) -> i32 {
    answer(|| {
        // SAFETY: plugins promise it.
        let scene = unsafe { Scene::of(context) }?;
        // SAFETY: as above.
        let controller = unsafe { bytes(controller, 64, "") }.map_err(|_| Errno::INVAL)?;
        let controller = std::str::from_utf8(controller).map_err(|_| Errno::INVAL)?;
        let cgroup = scene.cgroup(controller)?;
        // SAFETY: as above.
        unsafe { put_out_cgroup(cgroup, out) }
    })
}

pub(crate) unsafe extern "C" fn cgroup_at(
    context: *const abi::Context,
    index: usize,
    out: *mut abi::Cgroup,
) -> i32 {
    answer(|| {
        // SAFETY: plugins promise it.
        let scene = unsafe { Scene::of(context) }?;
        let mut all = scene.container()?.cgroups().iter();
        let cgroup = all.nth(index).ok_or(Errno::NODEV)?;
        // SAFETY: as above.
        unsafe { put_out_cgroup(cgroup, out) }
    })
}

fn memory_total(scene: &Scene) -> Result<u64, HostError> {
    let text = scene.host.text("proc/meminfo")?;
    let total = vistafs_text::meminfo::get(&text, b"MemTotal");
    Ok(total.unwrap_or(0).saturating_mul(1024))
}

pub(crate) unsafe extern "C" fn memory(context: *const abi::Context, out: *mut abi::Memory) -> i32 {
    answer(|| {
        // SAFETY: plugins promise it.
        let scene = unsafe { Scene::of(context) }?;
        let told = |error: HostError| failed(scene, &error);
        let container = scene.container()?;
        let found = container.memory(MemoryWanted::ALL, &scene.host, &mut Vec::new());
        let figures = found.map_err(told)?.ok_or(Errno::NODEV)?;
        let (swap_limit, swap_usage, in_pool, accounted) = match figures.swap {
            SwapFigures::NotAccounted => (abi::NO_LIMIT, 0, 0, 0),
            SwapFigures::Apart { limit: most, usage } => (limit(most), usage, 0, 1),
            SwapFigures::Pool {
                limit: most, usage, ..
            } => (limit(most), usage, 1, 1),
        };
        let filled = abi::Memory {
            size: 0,
            limit: figures.limit.or_total(memory_total(scene).map_err(told)?),
            usage: figures.usage,
            reclaimable: figures.stat.reclaimable(),
            swap_limit,
            swap_usage,
            swap_in_pool: in_pool,
            swap_accounted: accounted,
        };
        // SAFETY: as above.
        unsafe { fill(out, &filled) }
    })
}

pub(crate) unsafe extern "C" fn cpu(context: *const abi::Context, out: *mut abi::Cpu) -> i32 {
    answer(|| {
        // SAFETY: plugins promise it.
        let scene = unsafe { Scene::of(context) }?;
        let told = |error: HostError| failed(scene, &error);
        let container = scene.container()?;
        let mut text = Vec::new();
        let used = container.cpu_usage(&mut Vec::new(), &scene.host, &mut text);
        let used = used.map_err(told)?.unwrap_or_default();
        let quota = container.cpu_quota(&mut text).map_err(told)?;
        let visible = container.visible_cpus(&scene.host, scene.policy.cpus, &mut text);
        let visible = visible.map_err(told)?.len();
        let filled = abi::Cpu {
            size: 0,
            user: used.user,
            system: used.system,
            throttled: used.throttled,
            quota: quota.map_or(abi::NO_LIMIT, |q| q.quota.saturating_mul(1000)),
            period: quota.map_or(0, |q| q.period.saturating_mul(1000)),
            visible: u32::try_from(visible).unwrap_or(u32::MAX),
        };
        // SAFETY: as above.
        unsafe { fill(out, &filled) }
    })
}

pub(crate) unsafe extern "C" fn visible_cpus(
    context: *const abi::Context,
    sink: *mut abi::Sink,
) -> i32 {
    answer(|| {
        // SAFETY: plugins promise it.
        let scene = unsafe { Scene::of(context) }?;
        // SAFETY: as above.
        let sink = unsafe { Text::of(sink) }?;
        let container = scene.container()?;
        let visible = container.visible_cpus(&scene.host, scene.policy.cpus, &mut Vec::new());
        let visible = visible.map_err(|error| failed(scene, &error))?;
        sink.write(visible.to_string().as_bytes()).map(|()| 0)
    })
}

pub(crate) unsafe extern "C" fn tasks(context: *const abi::Context, out: *mut abi::Tasks) -> i32 {
    answer(|| {
        // SAFETY: plugins promise it.
        let scene = unsafe { Scene::of(context) }?;
        let asker = Some(scene.asker.tid);
        let counts = scene.container()?.task_counts(&scene.host, asker);
        let counts = counts.map_err(|error| failed(scene, &error))?;
        let counts = counts.ok_or(Errno::NODEV)?;
        let filled = abi::Tasks {
            size: 0,
            total: counts.total,
            running: counts.running,
            blocked: counts.blocked,
        };
        // SAFETY: as above.
        unsafe { fill(out, &filled) }
    })
}

pub(crate) unsafe extern "C" fn host(
    context: *const abi::Context,
    out: *mut abi::HostFacts,
) -> i32 {
    answer(|| {
        // SAFETY: plugins promise it.
        let scene = unsafe { Scene::of(context) }?;
        // SAFETY: as above.
        let wants_more = unsafe { wanted(out) } > offset_of!(abi::HostFacts, memory_total);
        let told = |error: HostError| failed(scene, &error);
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let (host, policy) = (&scene.host, scene.policy);
        let filled = abi::HostFacts {
            size: 0,
            flags: flag(policy.cpus.renumber, abi::FLAG_RENUMBER_CPUS)
                | flag(policy.cpus.quota, abi::FLAG_CPU_QUOTA)
                | flag(policy.swap, abi::FLAG_SWAP)
                | flag(host.is_captured(), abi::FLAG_CAPTURED),
            root: host.root().as_fd().as_raw_fd(),
            page_size: host.page_size(),
            clock_ticks: host.clk_tck(),
            boottime: nanoseconds(host.boottime()),
            ttl: nanoseconds(host.ttl()),
            memory_total: if wants_more {
                memory_total(scene).map_err(told)?
            } else {
                0
            },
            online_cpus: if wants_more {
                u32::try_from(host.online_cpus().map_err(told)?.len()).unwrap_or(u32::MAX)
            } else {
                0
            },
        };
        // SAFETY: as above.
        unsafe { fill(out, &filled) }
    })
}

pub(crate) unsafe extern "C" fn host_file(
    context: *const abi::Context,
    path: abi::Str,
    sink: *mut abi::Sink,
) -> i32 {
    answer(|| {
        // SAFETY: plugins promise it.
        let scene = unsafe { Scene::of(context) }?;
        // SAFETY: as above.
        let sink = unsafe { Text::of(sink) }?;
        // SAFETY: as above.
        let path = unsafe { told(path) }?;
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path));
        let path = path.strip_prefix("/").unwrap_or(path);
        let file = scene.host.root().open_file(path)?;
        // One byte more than can be written, to detect the excess.
        let mut text = Vec::new();
        loop {
            let mut piece = [0; 1 << 16];
            let got = rustix::io::read(&file, &mut piece)?;
            let piece = piece.get(..got).unwrap_or_default();
            text.extend_from_slice(piece);
            if got == 0 || text.len() > sink.most() {
                return sink.write(&text).map(|()| 0);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_has_the_same_number_for_ever() {
        assert_eq!(id(b"unified\0\x01"), 0xc058_c8b3_aaa5_5588);
    }
}
