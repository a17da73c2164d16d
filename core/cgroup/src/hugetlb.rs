//! Huge pages of one size that a cgroup may use and uses, whatever the version.
//!
//! The files carry the page size in their names: `hugetlb.2MB.max` (v2),
//! `hugetlb.2MB.limit_in_bytes` (v1). `hugetlb.rst`, `cgroup-v2.rst` "HugeTLB Interface Files".

use std::sync::Arc;

use vistafs_host::{Dir, HostError, KeptFile, Shape};
use vistafs_text::{Limit, single_value};

use crate::{Cgroup, Version};

/// Bytes of huge pages of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HugetlbFigures {
    /// Least of its own limit and its ancestors'.
    pub limit: Limit,
    /// In use.
    pub usage: u64,
}

/// The files of a cgroup and the limit files of its ancestors.
#[derive(Debug)]
pub struct Hugetlb {
    version: Version,
    page_size: u64,
    // Own ones first.
    limits: Vec<KeptFile>,
    usages: Vec<KeptFile>,
}

impl Hugetlb {
    /// For pages of `page_size` bytes. Names the files; none is opened yet.
    #[must_use]
    pub fn new(cgroup: &Arc<Cgroup>, page_size: u64) -> Self {
        let (limit, usage) = match cgroup.version() {
            Version::V1 => ("limit_in_bytes", "usage_in_bytes"),
            Version::V2 => ("max", "current"),
        };
        let size = size_name(page_size);
        let file = |dir: &Arc<Dir>, name: &str| {
            KeptFile::new(
                Arc::clone(dir),
                format!("hugetlb.{size}.{name}"),
                Shape::Whole,
            )
        };
        Self {
            version: cgroup.version(),
            page_size,
            limits: cgroup.levels().map(|dir| file(dir, limit)).collect(),
            usages: cgroup.levels().map(|dir| file(dir, usage)).collect(),
        }
    }

    /// Reads them. `None`: the controller is not there for this cgroup, nor for an ancestor.
    ///
    /// # Errors
    /// When a file that is there cannot be read or understood.
    pub fn figures(&self, text: &mut Vec<u8>) -> Result<Option<HugetlbFigures>, HostError> {
        // Where the controller is not enabled for it, it is charged to the nearest ancestor.
        let mut usage = None;
        for file in &self.usages {
            usage = file.file().parse(text, single_value::number)?;
            if usage.is_some() {
                break;
            }
        }
        let Some(usage) = usage else {
            return Ok(None);
        };
        let parse = |text: &[u8]| match self.version {
            // No limit is the largest number of whole huge pages.
            Version::V1 => single_value::limit_v1(text, self.page_size),
            Version::V2 => single_value::limit_v2(text),
        };
        let mut limit = Limit::Max;
        for file in &self.limits {
            limit = limit.min(file.file().parse(text, parse)?.unwrap_or(Limit::Max));
        }
        Ok(Some(HugetlbFigures { limit, usage }))
    }
}

/// As the kernel names a size: `64KB`, `2MB`, `1GB`.
fn size_name(bytes: u64) -> String {
    match bytes {
        b if b >= 1 << 30 => format!("{}GB", b >> 30),
        b if b >= 1 << 20 => format!("{}MB", b >> 20),
        b => format!("{}KB", b >> 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_named_as_the_kernel_does() {
        assert_eq!(size_name(64 << 10), "64KB");
        assert_eq!(size_name(2 << 20), "2MB");
        assert_eq!(size_name(1 << 30), "1GB");
    }
}
