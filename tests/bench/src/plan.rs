//! What is read, how, from whom, and what vistafs is to reach.

/// Who serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Vistafs,
    /// Another vistafs, to compare with.
    Before,
    Null,
    Lxcfs,
    Kernel,
}

impl Server {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Vistafs => "vistafs",
            Self::Before => "before",
            Self::Null => "null",
            Self::Lxcfs => "lxcfs",
            Self::Kernel => "kernel",
        }
    }
}

/// One way to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// open(2), read(2), close(2), as `cat` and most libraries.
    Open,
    /// pread(2) at offset 0 on a descriptor that stays open, as monitors.
    Kept,
}

impl Way {
    pub(crate) const ALL: [Self; 2] = [Self::Open, Self::Kept];

    /// A word of the protocol between bench and reader.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Kept => "kept",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open+read+close",
            Self::Kept => "pread",
        }
    }
}

/// A file below a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    /// What vistafs may take at most of what the null file system takes, in hundredths.
    pub(crate) target: u64,
}

const fn file(name: &'static str, path: &'static str, target: u64) -> File {
    File { name, path, target }
}

/// The files that there are targets for.
pub(crate) const FILES: [File; 8] = [
    file("uptime", "proc/uptime", 125),
    file("cpuinfo", "proc/cpuinfo", 125),
    file("loadavg", "proc/loadavg", 125),
    file("swaps", "proc/swaps", 125),
    file("cpu/online", "sys/devices/system/cpu/online", 125),
    file("meminfo", "proc/meminfo", 150),
    file("stat", "proc/stat", 150),
    file("diskstats", "proc/diskstats", 150),
];
