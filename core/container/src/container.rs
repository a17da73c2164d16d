//! One container: its cgroups, age and limits.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use vistafs_cgroup::pressure::{Pressure, PressureFile, Resource};
use vistafs_cgroup::{
    Cgroup, CpuAccounting, CpuQuota, CpuUsage, Cpuset, DeviceIo, Freezer, Hierarchies, Hugetlb,
    HugetlbFigures, Io, Located, Memory, MemoryCounters, MemoryFigures, MemoryWanted, NodeMemory,
    PerCpu, Tasks,
};
use vistafs_handover::ContainerKey;
use vistafs_host::{Host, HostError};
use vistafs_text::time_offsets::Offset;
use vistafs_text::{CpuSet, Limit};

use crate::account::Account;
use crate::kept::{Keeper, Kept, Lasting};
use crate::pace::Pace;
use crate::states::States;
use crate::task_counts::{self, CountedTasks};
use crate::visible_cpus::visible;
use crate::{CpuPolicy, TaskCounts};

/// A container, identified by its cgroups. Its kernel files stay open as long as it is cached.
#[derive(Debug)]
pub struct Container {
    located: Located,
    memory: Option<Memory>,
    cpu: CpuAccounting,
    cpuset: Option<Cpuset>,
    io: Option<Io>,
    tasks: OnceLock<Option<Tasks>>,
    freezer: Option<Freezer>,
    pressure: Option<Pressure>,
    hugetlb: OnceLock<Option<Hugetlb>>,
    hugetlb_cgroup: Option<Arc<Cgroup>>,
    start: Duration,
    boottime_offset: Offset,
    states: Arc<States>,
    moves: u64,
    keeper: Keeper,
    mark: ContainerKey,
    counted: CountedTasks,
    account: Arc<Account>,
}

/// Returns how long a usage counts as of one instant: at most a tick of most kernels.
fn instant(host: &Host) -> Duration {
    host.ttl().min(Duration::from_millis(4))
}

impl Container {
    /// The start of a container that has not begun. Its age is always 0.
    pub const NOT_YET: Duration = Duration::MAX;

    /// Creates the container of some cgroups. `start`: since boot.
    #[must_use]
    pub fn new(
        hierarchies: &Hierarchies,
        located: Located,
        start: Duration,
        boottime_offset: Offset,
    ) -> Self {
        // The root of a hierarchy also contains the host: treat the controller as absent.
        let of = |controller| located.of(hierarchies, controller).filter(|c| !c.is_root());
        Self {
            memory: of("memory").map(Memory::new),
            cpu: CpuAccounting::new(of("cpu"), of("cpuacct")),
            cpuset: of("cpuset").map(Cpuset::new),
            io: of("blkio").map(Io::new),
            tasks: OnceLock::new(),
            freezer: of("freezer").and_then(|c| Freezer::new(c)),
            pressure: of("pressure").map(Pressure::new),
            hugetlb_cgroup: of("hugetlb").cloned(),
            hugetlb: OnceLock::new(),
            mark: ContainerKey::new(&located.mark()),
            keeper: Keeper::default(),
            located,
            start,
            boottime_offset,
            states: Arc::default(),
            moves: 0,
            counted: CountedTasks::default(),
            account: Account::new(&Arc::default(), Pace::unknown(), 1),
        }
    }

    /// Attaches the persistent state of the container.
    pub(crate) fn kept_by(self, keeper: Keeper) -> Self {
        Self { keeper, ..self }
    }

    /// Charges the container to its tenant.
    pub(crate) fn with_account(self, account: Arc<Account>) -> Self {
        Self { account, ..self }
    }

    #[cfg(test)]
    pub(crate) fn with_clock(self, clock: vistafs_host::Clock) -> Self {
        Self {
            counted: CountedTasks::with_clock(clock),
            ..self
        }
    }

    /// Returns the account that it is charged to.
    #[must_use]
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    pub(crate) fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// Returns its identity, the same in every process of this boot. `None`: it cannot be
    /// identified, or it was found by a path without processes.
    #[must_use]
    pub fn key(&self) -> Option<ContainerKey> {
        self.keeper.key()
    }

    /// Returns the identity of its cgroups, the same in every process on this host.
    #[must_use]
    pub fn mark(&self) -> Vec<u8> {
        self.located.mark()
    }

    /// Returns a hash of [`mark`](Self::mark).
    pub(crate) fn short_mark(&self) -> ContainerKey {
        self.mark
    }

    /// Returns the same container in other cgroups; the state of the views is kept.
    #[must_use]
    pub fn moved_to(&self, hierarchies: &Hierarchies, located: Located) -> Self {
        Self {
            states: Arc::clone(&self.states),
            moves: self.moves + 1,
            keeper: self.keeper.clone(),
            account: Arc::clone(&self.account),
            ..Self::new(hierarchies, located, self.start, self.boottime_offset)
        }
    }

    /// Returns the cgroup path that identifies the container best.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        let told = self.located.most_telling().map(|c| c.path().to_owned());
        told.unwrap_or_else(|| Path::new("/").to_owned())
    }

    /// Its cgroups.
    #[must_use]
    pub fn cgroups(&self) -> &Located {
        &self.located
    }

    /// Returns whether it has its own cgroup in any hierarchy. If not, it looks like the host.
    #[must_use]
    pub fn has_own_cgroup(&self) -> bool {
        self.located.iter().any(|cgroup| !cgroup.is_root())
    }

    /// Returns whether its cgroups still exist.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.located.most_telling().is_none_or(|c| c.is_alive())
    }

    /// Returns its start since the host's boot; [`NOT_YET`](Self::NOT_YET) if it has not begun.
    #[must_use]
    pub fn start(&self) -> Duration {
        self.start
    }

    /// Returns how often it moved to other cgroups. Counters of the new cgroups are unrelated to
    /// those of the old ones.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.moves
    }

    /// Returns how long it has been running.
    #[must_use]
    pub fn age(&self, host: &Host) -> Duration {
        host.boottime().saturating_sub(self.start)
    }

    /// Returns the offset that its time namespace adds to CLOCK_BOOTTIME.
    #[must_use]
    pub fn boottime_offset(&self) -> Offset {
        self.boottime_offset
    }

    /// Returns the `wanted` figures of memory and swap. `None`: no memory controller counts for it.
    ///
    /// # Errors
    /// If an existing file cannot be read or parsed.
    pub fn memory(
        &self,
        wanted: MemoryWanted,
        host: &Host,
        text: &mut Vec<u8>,
    ) -> Result<Option<MemoryFigures>, HostError> {
        match &self.memory {
            Some(memory) => memory.figures(wanted, (instant(host), host.page_size()), text),
            None => Ok(None),
        }
    }

    /// Returns its memory events. `None`: no memory controller counts for it.
    ///
    /// # Errors
    /// If an existing file cannot be read or parsed.
    pub fn memory_counters<'t>(
        &self,
        text: &'t mut Vec<u8>,
    ) -> Result<Option<MemoryCounters<'t>>, HostError> {
        match &self.memory {
            Some(memory) => memory.counters(text),
            None => Ok(None),
        }
    }

    /// Appends the container's own slab rows; none if the kernel keeps none per cgroup.
    ///
    /// # Errors
    /// If an existing file cannot be read or parsed.
    pub fn push_slabs(&self, out: &mut Vec<u8>, text: &mut Vec<u8>) -> Result<(), HostError> {
        let memory = self.memory.as_ref();
        memory.map_or(Ok(()), |memory| memory.push_slabs(out, text))
    }

    /// Returns the effective memory limit in bytes: the minimum of all levels' limits and `total`.
    ///
    /// # Errors
    /// As [`memory`](Self::memory).
    pub fn memory_limit(
        &self,
        host: &Host,
        total: u64,
        text: &mut Vec<u8>,
    ) -> Result<u64, HostError> {
        let figures = self.memory(MemoryWanted::LIMIT, host, text)?;
        Ok(figures.map_or(Limit::Max, |f| f.limit).or_total(total))
    }

    /// Returns the tightest CPU quota of its cgroup and the ancestors.
    ///
    /// # Errors
    /// If an existing file cannot be read or parsed.
    pub fn cpu_quota(&self, text: &mut Vec<u8>) -> Result<Option<CpuQuota>, HostError> {
        self.cpu.quota(text)
    }

    /// Returns the CPU time used in ns; also per CPU if the kernel counts it (v1).
    ///
    /// # Errors
    /// If an existing file cannot be read or parsed.
    pub fn cpu_usage(
        &self,
        per_cpu: &mut Vec<PerCpu>,
        host: &Host,
        text: &mut Vec<u8>,
    ) -> Result<Option<CpuUsage>, HostError> {
        self.cpu.usage(per_cpu, instant(host), text)
    }

    /// Returns the CPU time used while the container ran. `None`: the kernel does not count it.
    pub(crate) fn cpu_time(&self, host: &Host) -> Result<Option<Duration>, HostError> {
        let Some(usage) = self.cpu_usage(&mut Vec::new(), host, &mut Vec::new())? else {
            return Ok(None);
        };
        let used = Duration::from_nanos(usage.user.saturating_add(usage.system));
        // Its cgroups may be older than the container.
        let cpus = u32::try_from(host.online_cpus()?.len()).unwrap_or(u32::MAX);
        Ok(Some(used.min(self.age(host).saturating_mul(cpus))))
    }

    /// Replaces `devices` by its block I/O per device. `false`: no controller counts it.
    ///
    /// # Errors
    /// If an existing file cannot be read or parsed.
    pub fn device_io(
        &self,
        devices: &mut Vec<DeviceIo>,
        text: &mut Vec<u8>,
    ) -> Result<bool, HostError> {
        match &self.io {
            Some(io) => io.usage(devices, text),
            None => Ok(false),
        }
    }

    /// Returns huge pages of the host's default size. `None`: no hugetlb controller counts for it.
    ///
    /// # Errors
    /// If an existing file cannot be read or parsed.
    pub fn huge_pages(
        &self,
        host: &Host,
        text: &mut Vec<u8>,
    ) -> Result<Option<HugetlbFigures>, HostError> {
        let hugetlb = match self.hugetlb.get() {
            Some(known) => known,
            None => {
                let size = host.huge_page_size()?;
                let new = |cgroup| size.map(|size| Hugetlb::new(cgroup, size));
                let found = self.hugetlb_cgroup.as_ref().and_then(new);
                self.hugetlb.get_or_init(|| found)
            }
        };
        match hugetlb {
            Some(hugetlb) => hugetlb.figures(text),
            None => Ok(None),
        }
    }

    /// Returns the CPUs that the container sees; never empty.
    ///
    /// # Errors
    /// If an existing file cannot be read or parsed.
    pub fn visible_cpus(
        &self,
        host: &Host,
        policy: CpuPolicy,
        text: &mut Vec<u8>,
    ) -> Result<CpuSet, HostError> {
        let online = host.online_cpus()?;
        let cpuset = match &self.cpuset {
            Some(cpuset) => cpuset.effective_cpus(text)?,
            None => None,
        };
        let quota = if policy.quota {
            self.cpu_quota(text)?
        } else {
            None
        };
        Ok(visible(policy, &online, cpuset.as_ref(), quota))
    }

    /// Returns the online NUMA nodes that it may allocate memory from; never empty.
    ///
    /// # Errors
    /// If an existing file cannot be read or parsed.
    pub fn visible_nodes(&self, host: &Host, text: &mut Vec<u8>) -> Result<CpuSet, HostError> {
        const ONLINE: &str = "sys/devices/system/node/online";
        let online = match host.text(ONLINE) {
            Ok(text) => host.members(ONLINE, &text)?,
            // A kernel without NUMA has all of its memory in node 0.
            Err(error) if error.is_not_found() => [0].into_iter().collect(),
            Err(error) => return Err(error),
        };
        let mems = match &self.cpuset {
            Some(cpuset) => cpuset.effective_mems(text)?,
            None => None,
        };
        let visible = mems.map(|mems| mems.intersection(&online));
        Ok(visible.filter(|v| !v.is_empty()).unwrap_or(online))
    }

    /// Returns its memory usage per NUMA node. Empty: no controller counts it.
    ///
    /// # Errors
    /// As [`memory`](Self::memory).
    pub fn memory_by_node(
        &self,
        host: &Host,
        text: &mut Vec<u8>,
    ) -> Result<Vec<NodeMemory>, HostError> {
        match &self.memory {
            Some(memory) => memory.by_node(host.page_size(), text),
            None => Ok(Vec::new()),
        }
    }

    /// Returns how many of its threads run or are blocked; the count may be slightly old. `None`:
    /// no hierarchy separates its threads from the host's. `asker`: a thread that waits for it.
    ///
    /// # Errors
    /// If its cgroup cannot be read.
    pub fn task_counts(
        &self,
        host: &Host,
        asker: Option<u32>,
    ) -> Result<Option<TaskCounts>, HostError> {
        let counts = |tasks| self.counted.get(|| self.count(host, tasks, asker));
        self.tasks().map(counts).transpose()
    }

    /// Returns whether [`task_counts`](Self::task_counts) would walk all cgroups and threads now.
    #[must_use]
    pub fn must_count_tasks(&self) -> bool {
        !self.has_no_tasks() && !self.counted.is_fresh()
    }

    /// Returns whether it is known that no hierarchy separates its threads from the host's.
    pub(crate) fn has_no_tasks(&self) -> bool {
        matches!(self.tasks.get(), Some(None))
    }

    /// Like [`task_counts`](Self::task_counts), but always counts now.
    pub(crate) fn task_counts_now(&self, host: &Host) -> Result<Option<TaskCounts>, HostError> {
        let counts = |tasks| self.counted.refresh(|| self.count(host, tasks, None));
        self.tasks().map(counts).transpose()
    }

    /// Returns the last count, if there is one.
    pub(crate) fn last_task_counts(&self) -> Option<TaskCounts> {
        self.counted.last()
    }

    fn tasks(&self) -> Option<&Tasks> {
        self.tasks.get_or_init(|| self.located.tasks()).as_ref()
    }

    fn count(
        &self,
        host: &Host,
        tasks: &Tasks,
        asker: Option<u32>,
    ) -> Result<TaskCounts, HostError> {
        let mut counts = task_counts::count(host, tasks, asker)?;
        if counts.total == 0 && !self.is_alive() {
            return Err(HostError::NotFound { path: self.path() });
        }
        // Linux shows threads stopped by the v1 freezer in state D, although they wait for nothing.
        if counts.blocked > 0
            && let Some(freezer) = &self.freezer
            && freezer.is_frozen()?
        {
            counts.blocked = 0;
        }
        Ok(counts)
    }

    /// Replaces `text` by its pressure file. `false`: there is none, because it has no v2 cgroup of
    /// its own or the kernel has no PSI.
    ///
    /// # Errors
    /// If an existing file cannot be read.
    pub fn pressure(&self, resource: Resource, text: &mut Vec<u8>) -> Result<bool, HostError> {
        match &self.pressure {
            Some(pressure) => pressure.read(resource, text),
            None => Ok(false),
        }
    }

    /// Opens its pressure file for a trigger; `privileged`: the caller has CAP_SYS_RESOURCE.
    /// `None`: there is none.
    ///
    /// # Errors
    /// If an existing file cannot be opened.
    pub fn open_pressure(
        &self,
        resource: Resource,
        privileged: bool,
    ) -> Result<Option<PressureFile>, HostError> {
        match &self.pressure {
            Some(pressure) => pressure.open(resource, privileged),
            None => Ok(None),
        }
    }

    /// Returns the state of a view for this container: one `T` for all reads.
    #[must_use]
    pub fn state<T: Any + Default + Send + Sync>(&self) -> Arc<T> {
        self.states.get()
    }

    /// Calls `look` with exclusive access to a monotonic state `T`, and saves the result for the
    /// successor process.
    pub fn kept<T: Lasting, R>(&self, look: impl FnOnce(&mut T) -> R) -> R {
        self.state::<Kept<T>>().with(self, look)
    }
}
