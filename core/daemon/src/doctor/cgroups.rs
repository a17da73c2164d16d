//! The layout of the cgroup hierarchies, the controllers that views read, and swap accounting.

use std::path::Path;

use anyhow::Context as _;
use vistafs_cgroup::{Hierarchies, Hierarchy, Version};
use vistafs_view::{Registry, Selection, Source};

use super::Finding;

pub(super) fn examine(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let mounts = root.join("proc/self/mountinfo");
    let text = std::fs::read(&mounts)
        .with_context(|| format!("cannot read {} (is /proc mounted?)", mounts.display()))?;
    let hierarchies = Hierarchies::discover(&text, root)?;
    if hierarchies.all().is_empty() {
        return Ok(vec![Finding::broken(
            "cgroups",
            "no hierarchy is mounted: no container has limits that could be shown",
            "mount -t cgroup2 none /sys/fs/cgroup",
        )]);
    }
    let known = kernel_s(&read(root, "proc/cgroups"));
    let mut findings = vec![layout(&hierarchies)];
    findings.extend(
        wanted()?
            .into_iter()
            .filter_map(|name| match hierarchies.index_of(name) {
                None => Some(nowhere(name, &known)),
                Some(at) => match &hierarchies.all()[at] {
                    v1 if v1.version() == Version::V1 => None,
                    v2 => on_v2(name, v2, &known),
                },
            }),
    );
    findings.push(swap(root, &hierarchies));
    Ok(findings)
}

/// The controllers that the built-in views read, by their v1 names.
fn wanted() -> anyhow::Result<Vec<&'static str>> {
    let registry = Registry::collect(&Selection::default())?;
    let mut names: Vec<_> = registry
        .all()
        .iter()
        .flat_map(|view| view.spec.sources)
        .filter_map(|source| match source {
            Source::Controller(name) => Some(*name),
            Source::Processes | Source::Host | Source::Hierarchies => None,
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn layout(hierarchies: &Hierarchies) -> Finding {
    let of = |version| {
        let matching = hierarchies.all().iter().filter(|h| h.version() == version);
        let names: Vec<&str> = matching.map(|h| h.name()).collect();
        names.join(" ")
    };
    let (v1, v2) = (of(Version::V1), of(Version::V2));
    let found = match (v1.is_empty(), v2.is_empty()) {
        (true, _) => "v2 alone".to_owned(),
        (false, true) => format!("v1 alone: {v1}"),
        (false, false) => format!("v1 and v2: {v1}; {v2}"),
    };
    Finding::good("cgroups", found)
}

const ABOUT_CONTROLLER: &str = "controller";

/// Reports a controller without a hierarchy.
fn nowhere(controller: &str, known: &Known) -> Finding {
    let remedy = if known.is_disabled(controller) {
        format!("boot without cgroup_disable={controller}, or with cgroup_enable={controller}")
    } else {
        format!("mount it (v1), or take a kernel that has it: see /proc/cgroups for {controller}")
    };
    let found = format!("{controller} is nowhere: its views show what the host has, or zeros");
    Finding::limited(ABOUT_CONTROLLER, found, remedy)
}

/// Reports a controller without a v1 hierarchy.
fn on_v2(controller: &str, hierarchy: &Hierarchy, known: &Known) -> Option<Finding> {
    // It is part of cpu on v2; pressure needs no controller there, and the freezer is always available.
    let name = match controller {
        "cpuacct" | "pressure" | "freezer" => return None,
        "blkio" => "io",
        other => other,
    };
    let has = |file: &str| {
        let text = read(hierarchy.root().path(), file);
        text.split_whitespace().any(|word| word == name)
    };
    if !has("cgroup.controllers") {
        return Some(nowhere(controller, known));
    }
    if has("cgroup.subtree_control") {
        return Some(Finding::good(
            ABOUT_CONTROLLER,
            format!("{name} is on for what is below the root"),
        ));
    }
    let root = hierarchy.root().path().display();
    Some(Finding::limited(
        ABOUT_CONTROLLER,
        format!("{name} is disabled: the kernel does not count it for containers"),
        format!("echo +{name} >{root}/cgroup.subtree_control"),
    ))
}

/// Controllers that were disabled at boot.
#[derive(Debug)]
struct Known {
    disabled: Vec<String>,
}

impl Known {
    fn is_disabled(&self, controller: &str) -> bool {
        self.disabled.iter().any(|name| name == controller)
    }
}

/// Parses /proc/cgroups, cgroups(7): name, hierarchy, number of cgroups, enabled.
fn kernel_s(text: &str) -> Known {
    let disabled = text.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [name, _, _, "0"] => Some(name.to_owned()),
            _ => None,
        }
    });
    Known {
        disabled: disabled.collect(),
    }
}

/// Returns whether the kernel counts swap per cgroup.
fn swap(root: &Path, hierarchies: &Hierarchies) -> Finding {
    const ABOUT: &str = "swap";
    let memory = hierarchies.index_of("memory");
    let is_v1 = memory.map(|at| &hierarchies.all()[at]);
    let is_v1 = is_v1.filter(|hierarchy| hierarchy.version() == Version::V1);
    let is_counted = match is_v1 {
        Some(v1) => v1.root().has(Path::new("memory.memsw.usage_in_bytes")),
        // v2 has no such file at the root, and counts unless disabled at boot.
        None => !read(root, "proc/cmdline")
            .split_whitespace()
            .any(|word| word == "swapaccount=0"),
    };
    if is_counted {
        Finding::good(ABOUT, "counted for each cgroup")
    } else {
        Finding::limited(
            ABOUT,
            "not counted for cgroups: containers are shown none, or the host's",
            "boot with swapaccount=1",
        )
    }
}

/// Returns the contents; empty if it cannot be read.
fn read(root: &Path, file: &str) -> String {
    std::fs::read_to_string(root.join(file)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    /// Creates a host with cgroup mounts of (mount point, type, options), and other files.
    fn host(mounts: &[(&str, &str, &str)], files: &[(&str, &str)]) -> tempfile::TempDir {
        let tmp = tempfile::tempdir().unwrap();
        let mut text = String::new();
        for (i, (point, fs, options)) in mounts.iter().enumerate() {
            std::fs::create_dir_all(tmp.path().join(point)).unwrap();
            text += &format!("{} 1 0:{i} / /{point} rw - {fs} {fs} {options}\n", i + 20);
        }
        for (file, content) in [("proc/self/mountinfo", &*text)].iter().chain(files) {
            let path = tmp.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        tmp
    }

    fn about(findings: &[Finding], about: &str, part: &str) -> (State, Option<String>) {
        let found = findings
            .iter()
            .find(|one| one.about == about && one.found.contains(part));
        let found = found.unwrap_or_else(|| panic!("{about} {part}: {findings:#?}"));
        (found.state, found.remedy.clone())
    }

    #[test]
    fn a_host_without_cgroups() {
        let findings = examine(host(&[], &[]).path()).unwrap();
        assert_eq!(about(&findings, "cgroups", "no hierarchy").0, State::Broken);
    }

    #[test]
    fn controllers_that_are_on_off_and_nowhere() {
        let host = host(
            &[("cg", "cgroup2", "rw")],
            &[
                ("cg/cgroup.controllers", "cpuset cpu io\n"),
                ("cg/cgroup.subtree_control", "cpu\n"),
                (
                    "proc/cgroups",
                    "#subsys_name\nmemory\t0\t80\t0\ncpu\t0\t80\t1\n",
                ),
                ("proc/cmdline", "quiet swapaccount=0\n"),
            ],
        );
        let findings = examine(host.path()).unwrap();
        assert_eq!(about(&findings, "cgroups", "v2 alone").0, State::Good);
        assert_eq!(about(&findings, "controller", "cpu is on").0, State::Good);
        let (state, remedy) = about(&findings, "controller", "io is disabled");
        let expected = format!(
            "echo +io >{}/cg/cgroup.subtree_control",
            host.path().display()
        );
        assert_eq!((state, remedy), (State::Limited, Some(expected)));
        let (_, remedy) = about(&findings, "controller", "memory is nowhere");
        assert!(remedy.unwrap().contains("cgroup_enable=memory"));
        assert_eq!(about(&findings, "swap", "not counted").0, State::Limited);
    }

    #[test]
    fn swap_of_v1() {
        let mounts = [
            ("m", "cgroup", "rw,memory"),
            ("s", "cgroup", "rw,name=systemd"),
        ];
        let without = examine(host(&mounts, &[]).path()).unwrap();
        assert_eq!(
            about(&without, "cgroups", "v1 alone: memory").0,
            State::Good
        );
        let remedy = about(&without, "swap", "not counted").1.unwrap();
        assert_eq!(remedy, "boot with swapaccount=1");
        let with = host(&mounts, &[("m/memory.memsw.usage_in_bytes", "0\n")]);
        let with = examine(with.path()).unwrap();
        assert_eq!(about(&with, "swap", "counted").0, State::Good);
    }
}
