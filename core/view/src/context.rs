//! The input of a view for one rendering.

use std::sync::Arc;
use std::time::Duration;

use vistafs_cgroup::pressure::Resource;
use vistafs_cgroup::{
    CpuUsage, DeviceIo, HugetlbFigures, MemoryCounters, MemoryFigures, MemoryWanted, NodeMemory,
    PerCpu,
};
use vistafs_container::{Container, Load, LoadSampler, TaskCounts};
use vistafs_host::{Host, Reading};
use vistafs_text::CpuSet;
use vistafs_text::cpuinfo::Numbering;

use crate::{Asker, Policy, ViewError};

/// The container, the host and scratch space.
#[derive(Debug)]
pub struct Context<'a> {
    container: &'a Arc<Container>,
    host: &'a Arc<Host>,
    policy: Policy,
    scratch: &'a mut Vec<u8>,
    asker: Option<Asker>,
}

impl<'a> Context<'a> {
    /// For one rendering. `scratch` is a buffer that the caller reuses.
    #[must_use]
    pub fn new(
        container: &'a Arc<Container>,
        host: &'a Arc<Host>,
        policy: Policy,
        scratch: &'a mut Vec<u8>,
    ) -> Self {
        Self {
            container,
            host,
            policy,
            scratch,
            asker: None,
        }
    }

    /// Adds the caller.
    #[must_use]
    pub fn asked_by(self, asker: Asker) -> Self {
        Self {
            asker: Some(asker),
            ..self
        }
    }

    /// The caller. `None`: unknown, as for contents of the page cache, which all processes of the
    /// container read. Always set for a view that [takes time](crate::View::takes_time).
    #[must_use]
    pub fn asker(&self) -> Option<Asker> {
        self.asker
    }

    /// The container that is shown, as an owned reference.
    #[must_use]
    pub fn shared_container(&self) -> &'a Arc<Container> {
        self.container
    }

    /// The host, as an owned reference.
    #[must_use]
    pub fn shared_host(&self) -> &'a Arc<Host> {
        self.host
    }

    /// The policy of all views.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The container that is shown.
    #[must_use]
    pub fn container(&self) -> &'a Container {
        self.container
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &'a Host {
        self.host
    }

    /// Contents of a host file such as `proc/meminfo`; containers may share contents some ms old.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn host_text(&self, path: &'static str) -> Result<Arc<Reading>, ViewError> {
        Ok(self.host.text(path)?)
    }

    /// The wanted memory and swap figures, bytes. `None`: no memory controller counts for the
    /// container.
    ///
    /// # Errors
    /// When an existing file cannot be read or parsed.
    pub fn memory(&mut self, wanted: MemoryWanted) -> Result<Option<MemoryFigures>, ViewError> {
        Ok(self.container.memory(wanted, self.host, self.scratch)?)
    }

    /// Counters of the container's memory events, read into `text`. `None`: no memory controller
    /// counts for it.
    ///
    /// # Errors
    /// When an existing file cannot be read or parsed.
    pub fn memory_counters<'t>(
        &self,
        text: &'t mut Vec<u8>,
    ) -> Result<Option<MemoryCounters<'t>>, ViewError> {
        Ok(self.container.memory_counters(text)?)
    }

    /// Appends the container's own rows of `proc/slabinfo`; none where the kernel has no rows per
    /// container.
    ///
    /// # Errors
    /// When an existing file cannot be read or parsed.
    pub fn push_slabs(&mut self, out: &mut Vec<u8>) -> Result<(), ViewError> {
        Ok(self.container.push_slabs(out, self.scratch)?)
    }

    /// The visible CPUs; never empty.
    ///
    /// # Errors
    /// When an existing file cannot be read or parsed.
    pub fn visible_cpus(&mut self) -> Result<CpuSet, ViewError> {
        Ok(self
            .container
            .visible_cpus(self.host, self.policy.cpus, self.scratch)?)
    }

    /// The visible memory nodes; never empty.
    ///
    /// # Errors
    /// When an existing file cannot be read or parsed.
    pub fn visible_nodes(&mut self) -> Result<CpuSet, ViewError> {
        Ok(self.container.visible_nodes(self.host, self.scratch)?)
    }

    /// Memory use on each node; empty: the kernel does not count it for the container.
    ///
    /// # Errors
    /// When an existing file cannot be read or parsed.
    pub fn memory_by_node(&mut self) -> Result<Vec<NodeMemory>, ViewError> {
        Ok(self.container.memory_by_node(self.host, self.scratch)?)
    }

    /// Numbering of the CPUs, the same in every view.
    #[must_use]
    pub fn numbering(&self) -> Numbering {
        if self.policy.cpus.renumber {
            Numbering::Renumbered
        } else {
            Numbering::Physical
        }
    }

    /// Whether swap is shown, the same in every view.
    #[must_use]
    pub fn shows_swap(&self) -> bool {
        self.policy.swap
    }

    /// CPU time used, ns; `per_cpu` is filled where the kernel counts per CPU (v1).
    /// `None`: the kernel does not count it for the container.
    ///
    /// # Errors
    /// When an existing file cannot be read or parsed.
    pub fn cpu_usage(&mut self, per_cpu: &mut Vec<PerCpu>) -> Result<Option<CpuUsage>, ViewError> {
        Ok(self.container.cpu_usage(per_cpu, self.host, self.scratch)?)
    }

    /// Replaces `devices` with the block I/O by device. `false`: the kernel does not count it for
    /// the container.
    ///
    /// # Errors
    /// When an existing file cannot be read or parsed.
    pub fn device_io(&mut self, devices: &mut Vec<DeviceIo>) -> Result<bool, ViewError> {
        Ok(self.container.device_io(devices, self.scratch)?)
    }

    /// Number of running threads, without the caller, and of blocked ones. `None`: no hierarchy
    /// distinguishes them from the host's.
    ///
    /// # Errors
    /// When its cgroup cannot be read.
    pub fn task_counts(&self) -> Result<Option<TaskCounts>, ViewError> {
        Ok(self.container.task_counts(self.host, self.asking())?)
    }

    fn asking(&self) -> Option<u32> {
        self.asker.map(|asker| asker.tid)
    }

    /// The load, which `sampler` continues to sample. `None`: no hierarchy distinguishes its
    /// threads from the host's.
    ///
    /// # Errors
    /// When its cgroup cannot be read.
    pub fn load(&self, sampler: &LoadSampler) -> Result<Option<Load>, ViewError> {
        Ok(sampler.load(self.container, self.host, self.asking())?)
    }

    /// Huge pages of the host's default size; `None`: no hugetlb controller counts for it.
    ///
    /// # Errors
    /// When an existing file cannot be read or parsed.
    pub fn huge_pages(&mut self) -> Result<Option<HugetlbFigures>, ViewError> {
        Ok(self.container.huge_pages(self.host, self.scratch)?)
    }

    /// Replaces `out` with the container's pressure file. `false`: it has none.
    ///
    /// # Errors
    /// When an existing file cannot be read.
    pub fn pressure(&self, resource: Resource, out: &mut Vec<u8>) -> Result<bool, ViewError> {
        Ok(self.container.pressure(resource, out)?)
    }

    /// How long the container has been running.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.container.age(self.host)
    }
}
