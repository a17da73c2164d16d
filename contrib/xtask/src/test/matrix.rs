//! Which tests run on which machine: `tests/matrix.toml`, as filters for nextest.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::run;
use crate::vm::Layout;

/// Which property of the host the results of a module's tests depend on.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DependsOn {
    /// The layout of the host's cgroup hierarchies.
    Layout,
    /// The kernel: FUSE, namespaces, process exit.
    Kernel,
    /// Neither: it runs once.
    Neither,
}

/// The tables of `tests/matrix.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Matrix {
    machine: BTreeMap<String, DependsOn>,
    guest: BTreeMap<String, DependsOn>,
    hybrid: Hybrid,
    not_in_guests: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hybrid {
    machine: Vec<String>,
    guest: Vec<String>,
}

impl Matrix {
    /// Reads the file.
    pub(crate) fn read() -> Result<Matrix> {
        let path = run::workspace().join("tests/matrix.toml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    /// The tests of this machine: all except one that takes CPUs offline.
    pub(crate) fn here() -> String {
        "binary(machine) & !test(is_unplugged)".into()
    }

    /// The tests of a guest, as a filter for nextest.
    pub(crate) fn in_guest(&self, layout: Layout) -> Result<String> {
        let machine = match layout {
            Layout::Hybrid => any_of(&self.hybrid.machine),
            _ => modules(&self.machine, |on| runs_in(layout, on)),
        };
        let guest = match layout {
            Layout::Hybrid => any_of(&self.hybrid.guest),
            _ => modules(&self.guest, |on| {
                runs_in(layout, on) || runs_once_in(layout, on)
            }),
        };
        if machine.is_empty() || guest.is_empty() {
            bail!("tests/matrix.toml has no tests for {}", layout.name());
        }
        let left_out = any_of(self.not_in_guests.keys());
        Ok(format!(
            "(binary(machine) & ({machine}) & !({left_out})) | (binary(guest) & ({guest}))"
        ))
    }

    /// The matrix as a table: a row for each module, a column for each machine.
    pub(crate) fn table(&self) -> String {
        let mut table = format!("{:34} {:8} {:>5}", "module", "depends", "here");
        for layout in Layout::ALL {
            table += &format!(" {:>8}", layout.name());
        }
        let tables = [
            ("machine", &self.machine, &self.hybrid.machine),
            ("guest", &self.guest, &self.hybrid.guest),
        ];
        for (binary, modules, hybrid) in tables {
            for (module, &on) in modules {
                let word = format!("{on:?}").to_lowercase();
                let is_here = binary == "machine";
                let name = format!("{binary}::{module}");
                table += &format!("\n{name:34} {word:8} {:>5}", mark(is_here));
                for layout in Layout::ALL {
                    let cell = match layout {
                        Layout::Hybrid => hybrid_cell(hybrid, module),
                        _ => {
                            let once = binary == "guest" && runs_once_in(layout, on);
                            mark(runs_in(layout, on) || once).to_owned()
                        }
                    };
                    table += &format!(" {cell:>8}");
                }
            }
        }
        for (name, why) in &self.not_in_guests {
            table += &format!("\nnot in guests: {name}: {why}");
        }
        table
    }
}

/// Whether tests with that dependency run in a guest of that layout; hybrid has a separate list.
fn runs_in(layout: Layout, on: DependsOn) -> bool {
    match on {
        DependsOn::Layout => layout != Layout::Hybrid,
        // One guest for each kernel.
        DependsOn::Kernel => matches!(layout, Layout::V2 | Layout::V2On612),
        DependsOn::Neither => false,
    }
}

/// Whether guest tests that run once run in this layout: the one with the newest kernel.
fn runs_once_in(layout: Layout, on: DependsOn) -> bool {
    on == DependsOn::Neither && layout == Layout::V2On612
}

/// "yes" for a whole module of that list, or the number of its tests.
fn hybrid_cell(hybrid: &[String], module: &str) -> String {
    let start = format!("{module}::");
    if hybrid.contains(&start) {
        return mark(true).to_owned();
    }
    match hybrid
        .iter()
        .filter(|name| name.starts_with(&start))
        .count()
    {
        0 => String::new(),
        some => some.to_string(),
    }
}

fn mark(is_run: bool) -> &'static str {
    if is_run { "yes" } else { "" }
}

fn modules(all: &BTreeMap<String, DependsOn>, runs: impl Fn(DependsOn) -> bool) -> String {
    let chosen = all.iter().filter(|(_, on)| runs(**on));
    any_of(chosen.map(|(module, _)| format!("{module}::")))
}

/// A filter for tests whose names begin with any of these.
fn any_of(starts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let tests = starts
        .into_iter()
        .map(|start| format!("test(/^{}/)", start.as_ref()));
    tests.collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_runs_where_its_outcome_can_differ() {
        let matrix: Matrix = toml::from_str(
            "[machine]\nviews = \"layout\"\nmount = \"kernel\"\nreload = \"neither\"\n\
             [guest]\nswap = \"layout\"\npackages = \"neither\"\n\
             [hybrid]\nmachine = [\"views::one\"]\nguest = [\"swap::\"]\n\
             [not_in_guests]\n\"pages::nspawn\" = \"no systemd-nspawn there\"\n",
        )
        .unwrap();
        let v1 = matrix.in_guest(Layout::V1).unwrap();
        assert!(v1.contains("/^views::/") && !v1.contains("mount"), "{v1}");
        assert!(v1.contains("!(test(/^pages::nspawn/))"), "{v1}");
        let newest = matrix.in_guest(Layout::V2On612).unwrap();
        assert!(newest.contains("mount") && newest.contains("packages"));
        assert!(!newest.contains("reload"), "{newest}");
        let hybrid = matrix.in_guest(Layout::Hybrid).unwrap();
        assert!(hybrid.contains("/^views::one/") && !hybrid.contains("views::/"));
        assert!(matrix.table().contains("machine::views"));
    }
}
