//! `/sys/devices/system/cpu`: the CPUs that the container can use, and what the host tells of them.
//!
//! ```text
//! $ cd /sys/devices/system/cpu; ls -d cpu[0-9]*; cat online cpu2/topology/core_siblings_list
//! cpu2
//! cpu3
//! 2-3
//! 2-3
//! ```
//!
//! - `online`, `present`, `possible` and `enabled` are the visible CPUs, and none is `offline`;
//! - sets of CPUs are those of the host, the visible ones of them;
//! - `cpuN` is there for visible CPUs, a `cpufreq/policyN` that is of one of them, and in `cpuN`
//!   the link `nodeN` to a visible node of memory;
//! - everything else is the host's, for it describes the hardware.
//!
//! `Documentation/ABI/testing/sysfs-devices-system-cpu`, `Documentation/admin-guide/cputopology.rst`,
//! `Documentation/admin-guide/pm/cpufreq.rst`. glibc's sysconf(_SC_NPROCESSORS_ONLN) reads `online`,
//! _SC_NPROCESSORS_CONF `possible`.

use std::sync::Arc;

use vistafs_view::{Provider, Source, ViewError, ViewSpec, inventory};

use crate::sys_tree::{HostTree, Seen, SysTree};

inventory::submit! {
    ViewSpec {
        name: "sys-cpu",
        path: SysCpu::TOP,
        summary: "the CPUs that the container can use, their topology and caches",
        mode: 0o755,
        on_by_default: true,
        sources: &[Source::Controller("cpuset"), Source::Controller("cpu"), Source::Host],
        options: &[],
        build: |_| Provider::Tree(Arc::new(SysTree::new(SysCpu))),
    }
}

#[derive(Debug)]
struct SysCpu;

impl HostTree for SysCpu {
    const TOP: &'static str = "sys/devices/system/cpu";

    const LASTING: &'static [&'static str] =
        &["online", "present", "possible", "offline", "kernel_max"];

    fn text(
        &self,
        names: &[&str],
        seen: &mut Seen<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, ViewError> {
        match names {
            ["online" | "present" | "possible" | "enabled"] => seen.push_cpus(out)?,
            ["offline"] => out.push(b'\n'),
            ["isolated" | "nohz_full"] | [.., "cache", _, "shared_cpu_list"] => {
                seen.push_cpu_list(names, out)?;
            }
            [.., "cache", _, "shared_cpu_map"] => seen.push_cpu_mask(names, out)?,
            [.., "topology", name] if name.ends_with("_list") => seen.push_cpu_list(names, out)?,
            [.., "topology", name] if name.ends_with("_cpus") || name.ends_with("_siblings") => {
                seen.push_cpu_mask(names, out)?;
            }
            [.., "affected_cpus" | "related_cpus" | "freqdomain_cpus"] => {
                seen.push_cpu_words(names, out)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}
