//! The effect of lxcfs's options on views, in one place.
//!
//! Without `--strict-lxcfs`, an option enables the views that it enables in lxcfs, even if the
//! configuration disables them; a missing option disables nothing. With it, views that lxcfs would not
//! show are not shown, except where lxcfs's values are wrong (SEMANTICS.md, "What differs from lxcfs").

use clap::ValueEnum;
use vistafs_view::{OptionValue, Policy, Selection};

/// The option of workers.
const OPTION: &str = "--as-lxcfs";

/// The views of lxcfs.
const OF_LXCFS: &[&str] = &[
    "cgroup",
    "cpuinfo",
    "diskstats",
    "loadavg",
    "meminfo",
    "pressure-cpu",
    "pressure-io",
    "pressure-memory",
    "slabinfo",
    "stat",
    "swaps",
    "sys-cpu",
    "uptime",
];

/// An option, as it is passed to workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Word {
    /// Called as lxcfs, whatever the options.
    Plain,
    /// `--enable-cfs`
    Cfs,
    /// `--enable-loadavg`
    Loadavg,
    /// `--enable-psi-poll`
    PsiPoll,
    /// `--enable-cgroup`
    Cgroup,
    /// `--disable-swap`
    NoSwap,
    /// `--disable-zswap`
    NoZswap,
    /// `--strict-lxcfs`
    Strict,
}

/// All given options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AsLxcfs(Vec<Word>);

impl AsLxcfs {
    pub(crate) fn new(words: impl IntoIterator<Item = Word>) -> Self {
        Self(words.into_iter().collect())
    }

    /// Returns the option for the command line of a worker.
    pub(crate) fn option(&self) -> String {
        let names = std::iter::once(&Word::Plain).chain(&self.0);
        let names = names.filter_map(|word| Some(word.to_possible_value()?.get_name().to_owned()));
        format!("{OPTION}={}", names.collect::<Vec<_>>().join(","))
    }

    fn has(&self, word: Word) -> bool {
        self.0.contains(&word)
    }

    /// Overrides the configuration.
    pub(crate) fn lay_over(&self, selection: &mut Selection, policy: &mut Policy) {
        let mut on = |views: &[&str]| {
            selection
                .disable
                .retain(|name| !views.contains(&name.as_str()));
        };
        if self.has(Word::Loadavg) {
            on(&["loadavg"]);
        }
        if self.has(Word::PsiPoll) {
            on(&["pressure-cpu", "pressure-io", "pressure-memory"]);
        }
        if self.has(Word::Cgroup) {
            on(&["cgroup"]);
        }
        if self.has(Word::Cfs) {
            policy.cpus.quota = true;
        }
        if self.has(Word::NoSwap) {
            policy.swap = false;
        }
        let is_there = |view: &str| vistafs_views::ENABLED.contains(&view);
        let mut off = |view: &str, option: &str| {
            if is_there(view) {
                let options = selection.options.entry(view.to_owned()).or_default();
                options.insert(option.to_owned(), OptionValue::Bool(false));
            }
        };
        if self.has(Word::NoZswap) {
            off("meminfo", "zswap");
        }
        if !self.has(Word::Strict) {
            return;
        }
        off("meminfo", "bounded");
        off("stat", "steal");
        policy.cpus.quota = self.has(Word::Cfs);
        policy.cpus.renumber = self.has(Word::Cfs);
        let others = vistafs_views::ENABLED
            .iter()
            .filter(|name| !OF_LXCFS.contains(name));
        for name in others {
            selection.enable.retain(|enabled| enabled != name);
            if !selection.disable.iter().any(|disabled| disabled == name) {
                selection.disable.push((*name).to_owned());
            }
        }
    }

    /// Returns the views that use passthrough.
    pub(crate) fn passing(&self) -> &'static [&'static str] {
        if self.has(Word::Strict) && !self.has(Word::Loadavg) {
            &["loadavg"]
        } else {
            &[]
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use vistafs_view::Registry;

    use super::*;
    use crate::cli::Cli;

    fn laid_over(words: &[Word]) -> (Selection, Policy) {
        let mut selection = Selection {
            enable: vec!["interrupts".into()],
            disable: vec!["loadavg".into(), "cgroup".into()],
            ..Selection::default()
        };
        let mut policy = Policy::default();
        policy.cpus.quota = false;
        AsLxcfs::new(words.iter().copied()).lay_over(&mut selection, &mut policy);
        Registry::collect(&selection).unwrap();
        (selection, policy)
    }

    #[test]
    fn options_turn_on_what_the_configuration_has_off() {
        let (selection, policy) = laid_over(&[]);
        assert_eq!(selection.disable, ["loadavg", "cgroup"]);
        assert_eq!((policy.cpus.quota, policy.swap), (false, true));
        let (selection, policy) = laid_over(&[Word::Loadavg, Word::Cfs, Word::Cgroup]);
        assert!(selection.disable.is_empty());
        assert!(policy.cpus.quota && !policy.cpus.renumber);
        let (selection, policy) = laid_over(&[Word::NoSwap, Word::NoZswap]);
        assert!(!policy.swap);
        let no = OptionValue::Bool(false);
        assert_eq!(selection.options["meminfo"]["zswap"], no);
    }

    #[test]
    fn strictly_only_what_lxcfs_has_and_how_it_has_it() {
        let (selection, policy) = laid_over(&[Word::Strict]);
        assert!(selection.enable.is_empty());
        assert!(!policy.cpus.quota && !policy.cpus.renumber);
        let registry = Registry::collect(&selection).unwrap();
        for view in registry.serving() {
            assert!(OF_LXCFS.contains(&view.spec.name), "{}", view.spec.name);
        }
        let no = OptionValue::Bool(false);
        assert_eq!(selection.options["meminfo"]["bounded"], no);
        assert_eq!(selection.options["stat"]["steal"], no);
        let (_, policy) = laid_over(&[Word::Strict, Word::Cfs]);
        assert!(policy.cpus.quota && policy.cpus.renumber);
        let passing = |words: &[Word]| AsLxcfs::new(words.iter().copied()).passing();
        assert_eq!(passing(&[Word::Strict]), ["loadavg"]);
        assert!(passing(&[Word::Strict, Word::Loadavg]).is_empty());
        assert!(passing(&[]).is_empty());
    }

    #[test]
    fn workers_are_told_the_same() {
        let all = AsLxcfs::new([Word::Cfs, Word::PsiPoll, Word::NoZswap, Word::Strict]);
        for numbers in [AsLxcfs::default(), all] {
            let option = numbers.option();
            let cli = Cli::try_parse_from(["vistafs", &option, "doctor"]).unwrap();
            let mut words = cli.as_lxcfs;
            assert_eq!(words.remove(0), Word::Plain);
            assert_eq!(AsLxcfs::new(words), numbers);
        }
    }
}
