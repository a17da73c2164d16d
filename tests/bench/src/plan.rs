//! Files, ways to read, servers, and the targets of vistafs.

/// A file server.
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

/// A way to read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// open(2), read(2), close(2), like `cat` and most libraries.
    Open,
    /// pread(2) at offset 0 on a descriptor that stays open, like monitoring agents.
    Kept,
}

impl Way {
    pub(crate) const ALL: [Self; 2] = [Self::Open, Self::Kept];

    /// Returns the word in the protocol between benchmark and reader.
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
    /// Maximum latency of vistafs relative to the null file system, in hundredths.
    pub(crate) target: u64,
}

const fn file(name: &'static str, path: &'static str, target: u64) -> File {
    File { name, path, target }
}

/// The files with targets.
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
