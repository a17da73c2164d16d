//! The host: its files, page size, tick and clock.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::time::ClockId;
use vistafs_tables::RcuMap;
use vistafs_text::{CpuSet, ParseError, number};

use crate::host_text::{HostText, Reading};
use crate::{Dir, HostError, KeptFile, Shape};

/// Facts of a captured host that the running kernel cannot supply.
#[derive(Debug, Clone, Copy)]
pub struct FixedFacts {
    /// CLOCK_BOOTTIME at the capture.
    pub boottime: Duration,
    /// USER_HZ ticks a second.
    pub clk_tck: u64,
    /// Bytes.
    pub page_size: u64,
}

/// The machine that vistafs runs on, or a captured one.
#[derive(Debug)]
pub struct Host {
    root: Arc<Dir>,
    proc: Arc<Dir>,
    ttl: Duration,
    // Filled at the first use of each path; the views determine the set of paths.
    texts: RcuMap<&'static str, Arc<HostText>, 1>,
    page_size: u64,
    clk_tck: u64,
    fixed_boottime: Option<Duration>,
}

impl Host {
    /// The running machine. `ttl`: maximum age of shared host contents.
    ///
    /// # Errors
    /// When `/` or `/proc` cannot be opened.
    pub fn running(ttl: Duration) -> Result<Self, HostError> {
        let root = Dir::open(Path::new("/"))?;
        Ok(Self {
            proc: Arc::new(Dir::open(Path::new("/proc"))?),
            root: Arc::new(root),
            ttl,
            texts: RcuMap::default(),
            page_size: rustix::param::page_size() as u64,
            clk_tck: rustix::param::clock_ticks_per_second(),
            fixed_boottime: None,
        })
    }

    /// A captured host below `root`.
    ///
    /// # Errors
    /// When `root` or its `proc` cannot be opened.
    pub fn captured(root: &Path, facts: FixedFacts) -> Result<Self, HostError> {
        let root = Dir::open(root)?;
        Ok(Self {
            proc: Arc::new(root.subdir(Path::new("proc"))?),
            root: Arc::new(root),
            ttl: Duration::ZERO,
            texts: RcuMap::default(),
            page_size: facts.page_size,
            clk_tck: facts.clk_tck.max(1),
            fixed_boottime: Some(facts.boottime),
        })
    }

    /// Sets the maximum age of shared contents.
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// `/proc` of this host.
    #[must_use]
    pub fn proc(&self) -> &Arc<Dir> {
        &self.proc
    }

    /// `/` of this host.
    #[must_use]
    pub fn root(&self) -> &Arc<Dir> {
        &self.root
    }

    /// Maximum age of contents shared by several readings; zero: nothing is shared.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Whether it is a captured host.
    #[must_use]
    pub fn is_captured(&self) -> bool {
        self.fixed_boottime.is_some()
    }

    /// Bytes in a page.
    #[must_use]
    pub fn page_size(&self) -> u64 {
        self.page_size
    }

    /// USER_HZ ticks in a second.
    #[must_use]
    pub fn clk_tck(&self) -> u64 {
        self.clk_tck
    }

    /// Bytes in a huge page of the default size; `None` where the kernel has none.
    ///
    /// # Errors
    /// When /proc/meminfo cannot be read.
    pub fn huge_page_size(&self) -> Result<Option<u64>, HostError> {
        let text = self.text("proc/meminfo")?;
        let kib = vistafs_text::meminfo::get(&text, b"Hugepagesize");
        Ok(kib.and_then(|kib| kib.checked_mul(1024)))
    }

    /// Time since boot, suspend included (CLOCK_BOOTTIME).
    #[must_use]
    pub fn boottime(&self) -> Duration {
        self.fixed_boottime.unwrap_or_else(|| {
            let now = rustix::time::clock_gettime(ClockId::Boottime);
            Duration::new(
                u64::try_from(now.tv_sec).unwrap_or(0),
                u32::try_from(now.tv_nsec).unwrap_or(0),
            )
        })
    }

    /// Returns the contents of a host file such as `proc/meminfo`, no older than the TTL.
    ///
    /// # Errors
    /// `NotFound`, `Denied` or `Io`.
    pub fn text(&self, path: &'static str) -> Result<Arc<Reading>, HostError> {
        let text = self.texts.get_or_insert_with(path, || {
            let file = KeptFile::new(Arc::clone(&self.root), path, Shape::Records);
            Arc::new(HostText::new(file))
        });
        text.get(self.ttl)
    }

    /// Drops all cached contents; the next reader reads the file.
    pub fn let_go_of_texts(&self) {
        self.texts
            .entries()
            .iter()
            .for_each(|(_, text)| text.let_go());
    }

    /// Reads the stat file of any thread into `text`.
    ///
    /// # Errors
    /// `NotFound` when the thread does not exist (any more).
    pub fn thread_stat<'t>(&self, tid: u32, text: &'t mut Vec<u8>) -> Result<&'t [u8], HostError> {
        // Not /proc/TID/stat, for which the kernel sums all threads of the process.
        text.clear();
        number::push_u64(text, tid.into());
        text.extend_from_slice(b"/task/");
        number::push_u64(text, tid.into());
        text.extend_from_slice(b"/stat");
        let failed = |errno| {
            let name = format!("{tid}/task/{tid}/stat");
            HostError::from_errno(errno, &self.proc.path().join(name))
        };
        let name = Path::new(OsStr::from_bytes(text));
        let file = self.proc.open_file(name).map_err(failed)?;
        text.clear();
        text.reserve(1024);
        rustix::io::read(&file, spare_capacity(text)).map_err(failed)?;
        Ok(text)
    }

    /// Whether a path such as `proc/pressure/irq` exists.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.root.has(Path::new(path))
    }

    /// The task ID assigned last, no older than the TTL.
    ///
    /// # Errors
    /// When /proc/loadavg cannot be read or parsed.
    pub fn last_pid(&self) -> Result<u32, HostError> {
        const LOADAVG: &str = "proc/loadavg";
        let text = self.text(LOADAVG)?;
        vistafs_text::loadavg::last_pid(&text)
            .map_err(|e| HostError::malformed(&self.root.path().join(LOADAVG), e))
    }

    /// The CPUs that are online; never empty.
    ///
    /// # Errors
    /// When the kernel's list cannot be read or parsed.
    pub fn online_cpus(&self) -> Result<CpuSet, HostError> {
        const ONLINE: &str = "sys/devices/system/cpu/online";
        self.members(ONLINE, &self.text(ONLINE)?)
    }

    /// Parses a list of CPUs or nodes that is never empty on a running machine.
    ///
    /// # Errors
    /// `Malformed`, also for an empty list.
    pub fn members(&self, path: &str, text: &[u8]) -> Result<CpuSet, HostError> {
        let malformed = |source| HostError::malformed(&self.root.path().join(path), source);
        let members = CpuSet::parse(text).map_err(malformed)?;
        if members.is_empty() {
            return Err(malformed(ParseError::new("at least one number", 1, text)));
        }
        Ok(members)
    }

    /// Reads the host's file now, byte for byte, into `text`.
    ///
    /// # Errors
    /// `NotFound`, `Denied` or `Io`.
    pub fn read_now(&self, path: &'static str, text: &mut Vec<u8>) -> Result<(), HostError> {
        KeptFile::new(Arc::clone(&self.root), path, Shape::Records)
            .file()
            .read_required(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_host_answers() {
        let host = Host::running(Duration::from_millis(10)).unwrap();
        let text = host.text("proc/uptime").unwrap();
        let (up, _) = vistafs_text::uptime::parse(&text).unwrap();
        assert!(host.boottime().abs_diff(up) < Duration::from_secs(5));
        assert!(host.page_size().is_power_of_two());
        assert!(host.last_pid().unwrap() > 0);
        assert!(host.text("proc/no-such-file").unwrap_err().is_not_found());
    }

    #[test]
    fn within_the_ttl_the_contents_are_shared() {
        let host = Host::running(Duration::from_secs(3600)).unwrap();
        let first = host.text("proc/uptime").unwrap();
        assert!(Arc::ptr_eq(&first, &host.text("proc/uptime").unwrap()));
        host.let_go_of_texts();
        assert_eq!(Arc::strong_count(&first), 1);
        assert!(!Arc::ptr_eq(&first, &host.text("proc/uptime").unwrap()));
        let host = Host::running(Duration::ZERO).unwrap();
        let first = host.text("proc/uptime").unwrap();
        assert!(!Arc::ptr_eq(&first, &host.text("proc/uptime").unwrap()));
    }
}
