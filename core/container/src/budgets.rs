//! What containers may take of the daemon, one by one and all together.
//!
//! A container can make as many requests, open files, namespaces and cgroups as its own limits allow. Each of
//! them costs the daemon memory, descriptors or time, so each has a bound here. The unit's `MemoryMax=` and
//! `LimitNOFILE=` contain the totals; a test compares them.

/// Offload threads of the whole process. A container occupies two of them at most: one for requests that cost
/// time, one for views that wait for something else than the kernel.
pub const OFFLOAD_THREADS: usize = 512;

/// Bytes that a waiting request is taken for, beside the data of a write.
pub const WAITING_REQUEST: usize = 1 << 10;
/// Bytes of the waiting requests of one queue. One more is answered with ENOMEM.
pub const WAITING_BYTES: usize = 8 << 20;
/// Bytes of all waiting requests above which a queue has room for [`WAITING_BYTES_ALWAYS`] only.
pub const WAITING_BYTES_OF_ALL: usize = 64 << 20;
/// Bytes of waiting requests that each queue may have, whatever the others have.
pub const WAITING_BYTES_ALWAYS: usize = 64 << 10;
/// Requests that may wait for the discovery of a container while the kernel holds the lock of a directory that
/// other containers use. One more is answered with ENOMEM, upon which the kernel keeps the name.
pub const WAITING_WITH_A_LOCK: usize = 16;

/// Pairs of namespaces that are held for one tenant (everything in one outermost pid namespace). The oldest is
/// let go for one more, and found out again when it asks again.
pub const NAMESPACES: usize = 256;
/// The same for all tenants together.
pub const NAMESPACES_OF_ALL: usize = 1 << 17;
/// Descriptors that a pair of namespaces takes: both, and a pidfd.
pub const DESCRIPTORS_OF_NAMESPACES: usize = 3;

/// Processes that are looked at to find a container's eldest one.
pub const PROCESSES_LOOKED_AT: usize = 512;
/// Ancestors of a process that are looked at to find out when its container began.
pub const ANCESTORS_LOOKED_AT: usize = 128;

/// Bytes of texts and listings that open files hold for one tenant. The oldest is let go for more: a text is
/// then an error to who reads on in its middle, a directory is listed again.
pub const HELD_BYTES: usize = 8 << 20;
/// Bytes of all of them above which a tenant holds [`HELD_BYTES_ALWAYS`] only.
pub const HELD_BYTES_OF_ALL: usize = 128 << 20;
/// Bytes that each tenant may hold, whatever the others hold.
pub const HELD_BYTES_ALWAYS: usize = 256 << 10;

/// Files and directories that one tenant may have open. One more is answered with ENFILE.
pub const OPEN_FILES: usize = 1 << 16;
/// Open files of all tenants above which a tenant may have [`OPEN_FILES_ALWAYS`] only.
pub const OPEN_FILES_OF_ALL: usize = 1 << 20;
/// Files that each tenant may have open, whatever the others have.
pub const OPEN_FILES_ALWAYS: usize = 1 << 10;
/// Bytes that an open file is taken for, beside what it holds.
pub const OPEN_FILE: usize = 320;
