//! The visible CPUs and nodes of a container, and their numbering.

use std::path::Path;

use vistafs_host::HostError;
use vistafs_text::cpuinfo::Numbering;
use vistafs_text::{CpuSet, ParseError, cpu_mask, number_words};
use vistafs_view::{Context, ViewError};

use super::{ONLINE, below, gone};

/// The visible set of one container, for one request. It is determined at the first use.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    cx: Context<'a>,
    top: &'static str,
    offline: &'static [&'static str],
    cpus: Option<CpuSet>,
    nodes: Option<CpuSet>,
    renumbered: Option<Vec<Renumbered>>,
}

/// A CPU with another number than the host's.
#[derive(Debug, Clone, Copy)]
struct Renumbered {
    host: u32,
    shown: u32,
}

impl<'a> Seen<'a> {
    pub(super) fn new(
        cx: Context<'a>,
        top: &'static str,
        offline: &'static [&'static str],
    ) -> Self {
        Self {
            cx,
            top,
            offline,
            cpus: None,
            nodes: None,
            renumbered: None,
        }
    }

    /// The container and the host.
    #[cfg(feature = "sys-node")]
    pub(crate) fn context(&mut self) -> &mut Context<'a> {
        &mut self.cx
    }

    /// The visible CPUs, by the host's numbers.
    pub(crate) fn cpus(&mut self) -> Result<&CpuSet, ViewError> {
        let cpus = match self.cpus.take() {
            Some(known) => known,
            None => self.cx.visible_cpus()?,
        };
        Ok(self.cpus.insert(cpus))
    }

    /// The visible nodes of memory.
    pub(crate) fn nodes(&mut self) -> Result<&CpuSet, ViewError> {
        let nodes = match self.nodes.take() {
            Some(known) => known,
            None => self.cx.visible_nodes()?,
        };
        Ok(self.nodes.insert(nodes))
    }

    /// All CPUs that the kernel can ever report to a thread, by the host's numbers.
    pub(crate) fn possible_cpus(&mut self) -> Result<CpuSet, ViewError> {
        const POSSIBLE: &str = "sys/devices/system/cpu/possible";
        match self.cx.host().text(POSSIBLE) {
            Ok(text) => Ok(self.cx.host().members(POSSIBLE, &text)?),
            Err(error) if error.is_not_found() => Ok(self.cx.host().online_cpus()?),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a directory at the top belongs to a CPU that is shown as offline.
    fn is_offline(&mut self, directory: &str) -> Result<bool, ViewError> {
        match numbered(directory, "cpu") {
            Some(cpu) if !self.offline.is_empty() => {
                Ok(!self.cpus()?.contains(cpu) && self.possible_cpus()?.contains(cpu))
            }
            _ => Ok(false),
        }
    }

    /// Whether a path is the `online` file of a hidden CPU.
    pub(crate) fn is_made_up(&mut self, path: &str) -> Result<bool, ViewError> {
        match path.split_once('/') {
            Some((directory, ONLINE)) => self.is_offline(directory),
            _ => Ok(false),
        }
    }

    /// Whether the entry of a visible directory is visible: it does not belong to a hidden CPU or
    /// node.
    pub(super) fn shows_entry(&mut self, parent: &str, name: &str) -> Result<bool, ViewError> {
        if let Some(cpu) = numbered(name, "cpu") {
            return Ok(self.cpus()?.contains(cpu) || (parent.is_empty() && self.is_offline(name)?));
        }
        if let Some(node) = numbered(name, "node") {
            return Ok(self.nodes()?.contains(node));
        }
        if self.is_offline(parent)? {
            return Ok(self.offline.contains(&name));
        }
        if parent == "cpufreq" && numbered(name, "policy").is_some() {
            let path = format!("{parent}/{name}/related_cpus");
            // A policy without a list of CPUs may belong to a hidden CPU.
            let related = self.host_set(&path, number_words::parse_set);
            let visible = self.cpus()?;
            return Ok(related.is_ok_and(|cpus| !cpus.intersection(visible).is_empty()));
        }
        Ok(true)
    }

    /// The host's name of the visible entry `name`; `None`: it is not visible.
    pub(super) fn host_name(&mut self, name: &str) -> Result<Option<String>, ViewError> {
        let Some(shown) = self.renumbered(name) else {
            return Ok(Some(name.to_owned()));
        };
        let mut all = self.renumbered_cpus()?.iter();
        let found = all.find(|cpu| cpu.shown == shown);
        // `cpu01` is not a name of CPU 1.
        let exact = name == format!("cpu{shown}");
        Ok(found
            .filter(|_| exact)
            .map(|cpu| format!("cpu{}", cpu.host)))
    }

    /// The shown name of a visible entry of the host.
    pub(super) fn shown_name(&mut self, name: &str) -> Result<String, ViewError> {
        let Some(host) = self.renumbered(name) else {
            return Ok(name.to_owned());
        };
        let mut all = self.renumbered_cpus()?.iter();
        let found = all.find(|cpu| cpu.host == host);
        Ok(found.map_or_else(|| name.to_owned(), |cpu| format!("cpu{}", cpu.shown)))
    }

    /// All CPUs with their shown numbers: the visible ones 0, 1, 2, ..., and the hidden ones, in
    /// order, the highest remaining numbers, so that the directories reach as far as `possible`.
    fn renumbered_cpus(&mut self) -> Result<&[Renumbered], ViewError> {
        let all = match self.renumbered.take() {
            Some(known) => known,
            None => {
                let possible = self.possible_cpus()?;
                let visible = self.cpus()?;
                let pair = |(shown, host)| Renumbered { host, shown };
                let mut all: Vec<_> = (0..).zip(visible).map(pair).collect();
                let count = u32::try_from(all.len()).unwrap_or(u32::MAX);
                let descending = |shown: &dyn Fn(&u32) -> bool| {
                    let mut cpus: Vec<u32> = possible.iter().filter(shown).collect();
                    cpus.reverse();
                    cpus
                };
                let hidden = descending(&|cpu| !visible.contains(*cpu));
                let free = descending(&|cpu| *cpu >= count);
                all.extend(free.into_iter().zip(hidden).map(pair));
                all
            }
        };
        Ok(self.renumbered.insert(all))
    }

    /// The CPU of a name that is shown under another number.
    fn renumbered(&self, name: &str) -> Option<u32> {
        match self.cx.numbering() {
            Numbering::Physical => None,
            Numbering::Renumbered => numbered(name, "cpu"),
        }
    }

    /// Appends the list of all visible CPUs.
    #[cfg(feature = "sys-cpu")]
    pub(crate) fn push_cpus(&mut self, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let all = self.cpus()?.clone();
        self.push_list(&all, out)
    }

    /// Appends the list of possible CPUs that are not online: all except the visible ones.
    #[cfg(feature = "sys-cpu")]
    pub(crate) fn push_offline_cpus(&mut self, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let visible = self.cpus()?.clone();
        let shown = self.shown_cpus(&visible)?;
        // The kernel's list includes further CPU numbers that its build supports.
        let of_host = self.host_set("offline", cpu_list)?;
        let possible = self.possible_cpus()?;
        let all: CpuSet = possible.iter().chain(&of_host).collect();
        let offline: CpuSet = all.iter().filter(|cpu| !shown.contains(*cpu)).collect();
        offline.push_list(out);
        out.push(b'\n');
        Ok(())
    }

    /// Appends the visible CPUs of the host's list at `names`.
    pub(crate) fn push_cpu_list(
        &mut self,
        names: &[&str],
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        let cpus = self.host_set(&names.join("/"), cpu_list)?;
        self.push_list(&cpus, out)
    }

    /// As [`push_cpu_list`](Self::push_cpu_list), of a mask.
    pub(crate) fn push_cpu_mask(
        &mut self,
        names: &[&str],
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        let path = names.join("/");
        let text = self.host_text(&path)?;
        let cpus = self.parsed(&path, &text, cpu_mask::parse)?;
        let shown = self.shown_cpus(&cpus)?;
        cpu_mask::push_like(&text, &shown, out);
        Ok(())
    }

    /// As [`push_cpu_list`](Self::push_cpu_list), of words.
    #[cfg(feature = "sys-cpu")]
    pub(crate) fn push_cpu_words(
        &mut self,
        names: &[&str],
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        let cpus = self.host_set(&names.join("/"), number_words::parse_set)?;
        number_words::push_set(&self.shown_cpus(&cpus)?, out);
        out.push(b'\n');
        Ok(())
    }

    fn push_list(&mut self, cpus: &CpuSet, out: &mut Vec<u8>) -> Result<(), ViewError> {
        self.shown_cpus(cpus)?.push_list(out);
        out.push(b'\n');
        Ok(())
    }

    /// The visible CPUs of the host's set, by their shown numbers.
    fn shown_cpus(&mut self, cpus: &CpuSet) -> Result<CpuSet, ViewError> {
        let numbering = self.cx.numbering();
        let visible = self.cpus()?;
        Ok(match numbering {
            Numbering::Physical => cpus.intersection(visible),
            Numbering::Renumbered => cpus.iter().filter_map(|c| visible.position(c)).collect(),
        })
    }

    /// The set in the host's file at a path below the top.
    pub(crate) fn host_set(
        &mut self,
        path: &str,
        parse: fn(&[u8]) -> Result<CpuSet, ParseError>,
    ) -> Result<CpuSet, ViewError> {
        let text = self.host_text(path)?;
        self.parsed(path, &text, parse)
    }

    /// The host's file at a path below the top.
    pub(crate) fn host_text(&self, path: &str) -> Result<Vec<u8>, ViewError> {
        let mut text = Vec::new();
        let read = self
            .cx
            .host()
            .root()
            .read(&below(self.top, path), &mut text);
        read.map_err(gone)?;
        Ok(text)
    }

    /// Parses a host file; an error names the file.
    pub(crate) fn parsed<V>(
        &self,
        path: &str,
        text: &[u8],
        parse: impl FnOnce(&[u8]) -> Result<V, ParseError>,
    ) -> Result<V, ViewError> {
        parse(text).map_err(|source| self.malformed(path, source))
    }

    pub(crate) fn malformed(&self, path: &str, source: ParseError) -> ViewError {
        let root: &Path = self.cx.host().root().path();
        HostError::malformed(&root.join(below(self.top, path)), source).into()
    }
}

/// A list of CPUs or nodes. Where no CPU is `nohz_full`, some kernels write `(null)`.
pub(crate) fn cpu_list(text: &[u8]) -> Result<CpuSet, ParseError> {
    match text.trim_ascii() {
        b"(null)" => Ok(CpuSet::default()),
        _ => CpuSet::parse(text),
    }
}

/// The number of a name such as `cpu3`. A number that is too large counts as hidden.
pub(crate) fn numbered(name: &str, stem: &str) -> Option<u32> {
    let digits = name.strip_prefix(stem)?;
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u32::MAX))
}
