//! What a view is given for one reading.

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
    /// For one reading. `scratch` is a buffer that the caller keeps for the next one.
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

    /// The same, and who reads.
    #[must_use]
    pub fn asked_by(self, asker: Asker) -> Self {
        Self {
            asker: Some(asker),
            ..self
        }
    }

    /// Who reads. `None`: unknown, as when the text is for the page cache, from where all of the
    /// container read it; of a view that [takes time](crate::View::takes_time) it is known.
    #[must_use]
    pub fn asker(&self) -> Option<Asker> {
        self.asker
    }

    /// The container that is shown, for whoever goes on with it later.
    #[must_use]
    pub fn shared_container(&self) -> &'a Arc<Container> {
        self.container
    }

    /// The host, for whoever goes on with it later.
    #[must_use]
    pub fn shared_host(&self) -> &'a Arc<Host> {
        self.host
    }

    /// What holds for all views alike.
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

    /// A text of the host such as `proc/meminfo`; containers may share one that is some ms old.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn host_text(&self, path: &'static str) -> Result<Arc<Reading>, ViewError> {
        Ok(self.host.text(path)?)
    }

    /// Memory and swap, bytes, as far as wanted. `None`: no memory controller counts for the
    /// container.
    ///
    /// # Errors
    /// When a file that is there cannot be read or understood.
    pub fn memory(&mut self, wanted: MemoryWanted) -> Result<Option<MemoryFigures>, ViewError> {
        Ok(self.container.memory(wanted, self.host, self.scratch)?)
    }

    /// Events about the container's memory, read into `text`. `None`: no memory controller counts
    /// for it.
    ///
    /// # Errors
    /// When a file that is there cannot be read or understood.
    pub fn memory_counters<'t>(
        &self,
        text: &'t mut Vec<u8>,
    ) -> Result<Option<MemoryCounters<'t>>, ViewError> {
        Ok(self.container.memory_counters(text)?)
    }

    /// Appends the rows of `proc/slabinfo` that are the container's alone; none where the kernel
    /// keeps none per container.
    ///
    /// # Errors
    /// When a file that is there cannot be read or understood.
    pub fn push_slabs(&mut self, out: &mut Vec<u8>) -> Result<(), ViewError> {
        Ok(self.container.push_slabs(out, self.scratch)?)
    }

    /// The CPUs that the container is shown; never empty.
    ///
    /// # Errors
    /// When a file that is there cannot be read or understood.
    pub fn visible_cpus(&mut self) -> Result<CpuSet, ViewError> {
        Ok(self
            .container
            .visible_cpus(self.host, self.policy.cpus, self.scratch)?)
    }

    /// The nodes of memory that the container is shown; never empty.
    ///
    /// # Errors
    /// When a file that is there cannot be read or understood.
    pub fn visible_nodes(&mut self) -> Result<CpuSet, ViewError> {
        Ok(self.container.visible_nodes(self.host, self.scratch)?)
    }

    /// What it uses of each node of memory; empty: the kernel does not count that for it.
    ///
    /// # Errors
    /// When a file that is there cannot be read or understood.
    pub fn memory_by_node(&mut self) -> Result<Vec<NodeMemory>, ViewError> {
        Ok(self.container.memory_by_node(self.host, self.scratch)?)
    }

    /// By which numbers CPUs are shown, alike in every view.
    #[must_use]
    pub fn numbering(&self) -> Numbering {
        if self.policy.cpus.renumber {
            Numbering::Renumbered
        } else {
            Numbering::Physical
        }
    }

    /// Whether swap is shown, alike in every view.
    #[must_use]
    pub fn shows_swap(&self) -> bool {
        self.policy.swap
    }

    /// CPU time used, ns; `per_cpu` is filled where the kernel counts per CPU (v1).
    /// `None`: the kernel does not count it for the container.
    ///
    /// # Errors
    /// When a file that is there cannot be read or understood.
    pub fn cpu_usage(&mut self, per_cpu: &mut Vec<PerCpu>) -> Result<Option<CpuUsage>, ViewError> {
        Ok(self.container.cpu_usage(per_cpu, self.host, self.scratch)?)
    }

    /// Block I/O by device, in the place of what `devices` held. `false`: the kernel does not count
    /// it for the container.
    ///
    /// # Errors
    /// When a file that is there cannot be read or understood.
    pub fn device_io(&mut self, devices: &mut Vec<DeviceIo>) -> Result<bool, ViewError> {
        Ok(self.container.device_io(devices, self.scratch)?)
    }

    /// How many of its threads run, but for the asker, or are blocked. `None`: nothing tells them from the
    /// host's.
    ///
    /// # Errors
    /// When its cgroup cannot be read.
    pub fn task_counts(&self) -> Result<Option<TaskCounts>, ViewError> {
        Ok(self.container.task_counts(self.host, self.asking())?)
    }

    fn asking(&self) -> Option<u32> {
        self.asker.map(|asker| asker.tid)
    }

    /// Its load, which `sampler` goes on sampling. `None`: nothing tells its threads from the host's.
    ///
    /// # Errors
    /// When its cgroup cannot be read.
    pub fn load(&self, sampler: &LoadSampler) -> Result<Option<Load>, ViewError> {
        Ok(sampler.load(self.container, self.host, self.asking())?)
    }

    /// Huge pages of the host's default size; `None`: no hugetlb controller counts for it.
    ///
    /// # Errors
    /// When a file that is there cannot be read or understood.
    pub fn huge_pages(&mut self) -> Result<Option<HugetlbFigures>, ViewError> {
        Ok(self.container.huge_pages(self.host, self.scratch)?)
    }

    /// Replaces `out` by its pressure file. `false`: it has none.
    ///
    /// # Errors
    /// When a file that is there cannot be read.
    pub fn pressure(&self, resource: Resource, out: &mut Vec<u8>) -> Result<bool, ViewError> {
        Ok(self.container.pressure(resource, out)?)
    }

    /// How long the container has been running.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.container.age(self.host)
    }
}
