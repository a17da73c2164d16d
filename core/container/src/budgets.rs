//! Bounds on the daemon's resources, per tenant and in total.
//!
//! A container can make as many requests, open files, namespaces and cgroups as its own limits
//! allow. Each costs the daemon memory, descriptors or time, so each has a bound here. The unit's
//! `MemoryMax=` and `LimitNOFILE=` cover the totals; a test compares them.

/// Offload threads of the process. A container uses up to two: one for expensive requests, one for
/// views that wait for something other than the kernel.
pub const OFFLOAD_THREADS: usize = 512;

/// Bytes charged for a waiting request, in addition to the data of a write.
pub const WAITING_REQUEST: usize = 1 << 10;
/// Bytes of the waiting requests of one queue. Further requests fail with ENOMEM.
pub const WAITING_BYTES: usize = 8 << 20;
/// Total bytes of waiting requests above which a queue may use [`WAITING_BYTES_ALWAYS`] only.
pub const WAITING_BYTES_OF_ALL: usize = 64 << 20;
/// Bytes of waiting requests that each queue may use even above the total.
pub const WAITING_BYTES_ALWAYS: usize = 64 << 10;
/// Requests that may wait for the discovery of a container while the kernel holds the lock of a
/// directory that other containers use. Further ones fail with ENOMEM; the kernel keeps the name.
pub const WAITING_WITH_A_LOCK: usize = 16;

/// Cached pairs of namespaces per tenant (all processes in one outermost pid namespace). A further
/// pair evicts the oldest, which is resolved again at its next request.
pub const NAMESPACES: usize = 256;
/// Cached pairs of namespaces of all tenants.
pub const NAMESPACES_OF_ALL: usize = 1 << 17;
/// Descriptors per pair of namespaces: both namespaces and a pidfd.
pub const DESCRIPTORS_OF_NAMESPACES: usize = 3;

/// Processes that are checked to find a container's eldest one.
pub const PROCESSES_LOOKED_AT: usize = 512;
/// Ancestors of a process that are checked to find the start of its container.
pub const ANCESTORS_LOOKED_AT: usize = 128;

/// Bytes of contents and listings that open files cache per tenant. Above it the oldest is evicted:
/// a read in the middle of evicted contents then fails; a directory is listed again.
pub const HELD_BYTES: usize = 8 << 20;
/// Total cached bytes above which a tenant may hold [`HELD_BYTES_ALWAYS`] only.
pub const HELD_BYTES_OF_ALL: usize = 128 << 20;
/// Bytes that each tenant may hold even above the total.
pub const HELD_BYTES_ALWAYS: usize = 256 << 10;

/// Files and directories that one tenant may have open. A further open fails with ENFILE.
pub const OPEN_FILES: usize = 1 << 16;
/// Open files of all tenants above which a tenant may have [`OPEN_FILES_ALWAYS`] only.
pub const OPEN_FILES_OF_ALL: usize = 1 << 20;
/// Files that each tenant may have open even above the total.
pub const OPEN_FILES_ALWAYS: usize = 1 << 10;
/// Bytes charged for an open file, in addition to its contents.
pub const OPEN_FILE: usize = 320;
