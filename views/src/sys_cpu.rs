//! `/sys/devices/system/cpu`: the CPUs that the container can use, and the host's files about them.
//!
//! ```text
//! $ cd /sys/devices/system/cpu; cat online offline possible cpu2/topology/core_siblings_list
//! 2-3
//! 0-1
//! 0-3
//! 2-3
//! ```
//!
//! - `online`, `present` and `enabled` are the visible CPUs;
//! - `possible` and the directories `cpuN` are the host's: programs size their per-CPU memory by them,
//!   and index it by the number that the kernel reports to a thread, which can be any of these. The
//!   directory of a hidden CPU is that of a CPU which is offline;
//! - other sets of CPUs are those of the host, the visible ones of them;
//! - a `cpufreq/policyN` is there if it is of a visible CPU, and in `cpuN` the link `nodeN` to a
//!   visible node of memory;
//! - `cpuN/thermal_throttle` is not there: containers can learn about each other from these
//!   counts, so container runtimes mask them too (option `thermal_throttle`);
//! - everything else is the host's, for it describes the hardware.
//!
//! `Documentation/ABI/testing/sysfs-devices-system-cpu`, `Documentation/admin-guide/cputopology.rst`,
//! `Documentation/admin-guide/pm/cpufreq.rst`. glibc's sysconf(_SC_NPROCESSORS_ONLN) reads `online`,
//! _SC_NPROCESSORS_CONF `possible`.

use std::sync::Arc;

use vistafs_view::{
    OptionSpec, OptionValue, Options, Provider, Source, ViewError, ViewSpec, inventory,
};

use crate::sys_tree::{HostTree, ONLINE, Seen, SysTree};

inventory::submit! {
    ViewSpec {
        name: "sys-cpu",
        path: SysCpu::TOP,
        summary: "the CPUs that the container can use, their topology and caches",
        mode: 0o755,
        on_by_default: true,
        sources: &[Source::Controller("cpuset"), Source::Controller("cpu"), Source::Host],
        options: &[OptionSpec {
            name: THERMAL_THROTTLE,
            default: OptionValue::Bool(false),
            range: None,
            summary: "show cpuN/thermal_throttle, from which containers can learn about each other",
        }],
        build: |options| Provider::Tree(Arc::new(SysTree::new(SysCpu::new(options)))),
    }
}

const THERMAL_THROTTLE: &str = "thermal_throttle";

#[derive(Debug)]
struct SysCpu {
    thermal_throttle: bool,
}

impl SysCpu {
    fn new(options: &Options) -> Self {
        Self {
            thermal_throttle: options.flag(THERMAL_THROTTLE),
        }
    }
}

impl HostTree for SysCpu {
    const TOP: &'static str = "sys/devices/system/cpu";

    const LASTING: &'static [&'static str] =
        &["online", "present", "possible", "offline", "kernel_max"];

    // The kernel takes topology, caches and frequencies away with a CPU.
    const OFFLINE: &'static [&'static str] = &[
        ONLINE,
        "driver",
        "firmware_node",
        "of_node",
        "power",
        "subsystem",
        "uevent",
    ];

    fn withholds(&self, name: &str) -> bool {
        name == THERMAL_THROTTLE && !self.thermal_throttle
    }

    fn text(
        &self,
        names: &[&str],
        seen: &mut Seen<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, ViewError> {
        match names {
            ["online" | "present" | "enabled"] => seen.push_cpus(out)?,
            ["offline"] => seen.push_offline_cpus(out)?,
            [_, ONLINE] if seen.is_made_up(&names.join("/"))? => out.extend_from_slice(b"0\n"),
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
