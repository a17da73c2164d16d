//! `/sys/devices/system/node`: the nodes that the container gets memory from.
//!
//! ```text
//! $ cd /sys/devices/system/node; cat online; head -2 node1/meminfo; cat node1/cpulist
//! 1
//! Node 1 MemTotal:         262144 kB
//! Node 1 MemFree:          249032 kB
//! 2-3
//! ```
//!
//! - sets of nodes are the host's, restricted to visible ones, except `possible`, which is the
//!   host's: getcpu(2) can report any of these. `has_cpu` lists nodes with a visible CPU;
//! - `nodeN` exists for visible nodes, with links `cpuN` to visible CPUs, and a column of
//!   `distance` for each visible node;
//! - `meminfo` and `hugepages`: see [`meminfo`];
//! - `numastat` and `vmstat` count the whole host: zero;
//! - everything else is the host's.
//!
//! `Documentation/ABI/stable/sysfs-devices-node`; numa(7). libnuma reads all of these.

mod meminfo;

use std::sync::Arc;

use vistafs_text::{CpuSet, flat_keyed, number_words};
use vistafs_view::{Provider, Source, ViewError, ViewSpec, inventory};

use crate::sys_tree::{HostTree, Seen, SysTree, cpu_list, numbered};
use crate::unknown_fields::UnknownFields;

inventory::submit! {
    ViewSpec {
        name: "sys-node",
        path: SysNode::TOP,
        summary: "the nodes that the container gets memory from, and its share of each",
        mode: 0o755,
        on_by_default: true,
        sources: &[
            Source::Controller("cpuset"),
            Source::Controller("cpu"),
            Source::Controller("memory"),
            Source::Controller("hugetlb"),
            Source::Host,
        ],
        options: &[],
        build: |_| Provider::Tree(Arc::new(SysTree::new(SysNode::default()))),
    }
}

#[derive(Debug, Default)]
struct SysNode {
    unknown: UnknownFields,
}

impl HostTree for SysNode {
    const TOP: &'static str = "sys/devices/system/node";

    const LASTING: &'static [&'static str] = &["online", "possible", "has_cpu", "has_memory"];

    fn text(
        &self,
        names: &[&str],
        seen: &mut Seen<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, ViewError> {
        match names {
            ["has_cpu"] => {
                let nodes = with_visible_cpus(seen)?;
                push_list(&nodes, out);
            }
            ["online"] => push_nodes(names, seen, out)?,
            [name] if name.starts_with("has_") => push_nodes(names, seen, out)?,
            [_, "cpulist"] => seen.push_cpu_list(names, out)?,
            [_, "cpumap"] => seen.push_cpu_mask(names, out)?,
            [_, "distance"] => push_distance(names, seen, out)?,
            [_, "numastat" | "vmstat"] => {
                let path = names.join("/");
                let text = seen.host_text(&path)?;
                seen.parsed(&path, &text, |text| flat_keyed::push_zeroed(text, out))?;
            }
            [name, rest @ ..] => {
                return match (numbered(name, "node"), rest) {
                    (Some(node), ["meminfo"]) => meminfo::push(node, seen, &self.unknown, out),
                    (Some(node), ["hugepages", size, count]) => {
                        meminfo::push_huge_pages(node, size, count, seen, out)
                    }
                    _ => Ok(false),
                };
            }
            [] => return Ok(false),
        }
        Ok(true)
    }
}

fn push_list(nodes: &CpuSet, out: &mut Vec<u8>) {
    nodes.push_list(out);
    out.push(b'\n');
}

/// The visible nodes of the host's list.
fn push_nodes(names: &[&str], seen: &mut Seen<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
    let of_host = seen.host_set(&names.join("/"), cpu_list)?;
    push_list(&of_host.intersection(seen.nodes()?), out);
    Ok(())
}

/// The visible nodes that have a visible CPU.
fn with_visible_cpus(seen: &mut Seen<'_>) -> Result<CpuSet, ViewError> {
    let of_host = seen.host_set("has_cpu", cpu_list)?;
    let mut nodes = CpuSet::default();
    for node in &of_host.intersection(seen.nodes()?) {
        let cpus = seen.host_set(&format!("node{node}/cpulist"), cpu_list)?;
        if !cpus.intersection(seen.cpus()?).is_empty() {
            nodes.insert(node);
        }
    }
    Ok(nodes)
}

/// One column for each node that is online, in their order.
fn push_distance(names: &[&str], seen: &mut Seen<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
    let columns = seen.host_set("online", cpu_list)?;
    let path = names.join("/");
    let text = seen.host_text(&path)?;
    let kept = seen.nodes()?.clone();
    seen.parsed(&path, &text, |text| {
        number_words::push_columns(text, &columns, &kept, out)
    })?;
    out.push(b'\n');
    Ok(())
}
