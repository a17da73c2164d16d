//! Changes to a container's specification.
//!
//! The hook binds every view, and a container starts without views if vistafs is down by then. Bind mounts
//! are for nodes where the runtime cannot execute the program. A container whose mounts
//! have lost their source fails to start, and runtimes refuse mounts on some files of /proc.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use vistafs_attach::Binding;
use vistafs_nri::messages::{Container, ContainerAdjustment, Hook, Hooks, Mount, OptionalInt};

use super::args::NriArgs;
use crate::bindings;

/// The runtime kills a hook that takes longer, seconds.
const TIMEOUT: i64 = 10;

/// The changes for any container.
#[derive(Debug)]
pub(super) enum Changes {
    Hook(Hook),
    Mounts(Vec<Mount>),
}

impl Changes {
    /// By the options: `config` is the file that the hook reads.
    pub(super) fn new(
        args: &NriArgs,
        mount: &Path,
        config: Option<&Path>,
        bindings: &[Binding],
    ) -> anyhow::Result<Self> {
        if args.no_hooks {
            let accepted = bindings.iter().filter(|one| one.is_accepted_by_runtimes());
            let mounts = accepted.map(|binding| bind(*binding, mount));
            return Ok(Self::Mounts(mounts.collect::<anyhow::Result<_>>()?));
        }
        let program = match &args.hook {
            Some(path) if path.is_absolute() => path.clone(),
            Some(path) => bail!(
                "--hook {}: runtimes require an absolute path, as /usr/bin/vistafs",
                path.display()
            ),
            None => std::env::current_exe()
                .context("cannot find the path of this program (is /proc mounted?)")?,
        };
        let mut words = vec!["vistafs".to_owned()];
        if let Some(config) = config {
            let config: PathBuf = std::path::absolute(config)
                .with_context(|| format!("cannot use {}", config.display()))?;
            words.extend(["--config".to_owned(), text(&config)?]);
        }
        words.extend(["oci-hook".to_owned(), "--mount".to_owned(), text(mount)?]);
        Ok(Self::Hook(Hook {
            path: text(&program)?,
            args: words,
            timeout: Some(OptionalInt { value: TIMEOUT }),
        }))
    }

    /// The changes for one container. A mount that it has already, as from a webhook, is left alone.
    pub(super) fn of(&self, container: &Container) -> ContainerAdjustment {
        let mut changes = ContainerAdjustment::default();
        match self {
            Self::Hook(hook) => {
                changes.hooks = Some(Hooks {
                    create_container: vec![hook.clone()],
                });
            }
            Self::Mounts(mounts) => {
                let is_free = |mount: &&Mount| {
                    let mut taken = container.mounts.iter();
                    !taken.any(|other| other.destination == mount.destination)
                };
                changes.mounts = mounts.iter().filter(is_free).cloned().collect();
            }
        }
        changes
    }
}

fn bind(binding: Binding, mount: &Path) -> anyhow::Result<Mount> {
    Ok(Mount {
        destination: text(&binding.target())?,
        kind: "bind".to_owned(),
        source: text(&binding.source(mount))?,
        options: bindings::options(binding).map(str::to_owned).to_vec(),
    })
}

fn text(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.with_context(|| format!("{} is not UTF-8, which NRI requires", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    const VIEWS: [Binding; 3] = [
        Binding {
            name: "meminfo",
            path: "proc/meminfo",
            is_writable: false,
        },
        Binding {
            name: "vmstat",
            path: "proc/vmstat",
            is_writable: false,
        },
        Binding {
            name: "sys-cpu",
            path: "sys/devices/system/cpu",
            is_writable: true,
        },
    ];

    fn changes(words: &[&str], config: Option<&Path>) -> anyhow::Result<Changes> {
        let cli = Cli::try_parse_from([&["vistafs", "nri"], words].concat())?;
        let Command::Nri(args) = cli.command else {
            panic!("another command");
        };
        Changes::new(&args, Path::new("/m"), config, &VIEWS)
    }

    #[test]
    fn the_hook_is_executed_with_the_mount_and_the_configuration() {
        let config = Path::new("/etc/one.toml");
        let changes = changes(&["--hook", "/opt/vistafs"], Some(config)).unwrap();
        let added = changes.of(&Container::default());
        assert!(added.mounts.is_empty());
        let hook = added.hooks.unwrap().create_container.remove(0);
        assert_eq!(hook.path, "/opt/vistafs");
        let words = [
            "vistafs",
            "--config",
            "/etc/one.toml",
            "oci-hook",
            "--mount",
            "/m",
        ];
        assert_eq!(hook.args, words);
        assert_eq!(hook.timeout, Some(OptionalInt { value: 10 }));
    }

    #[test]
    fn a_relative_hook_is_refused() {
        let error = changes(&["--hook", "vistafs"], None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--hook vistafs: runtimes require an absolute path, as /usr/bin/vistafs"
        );
    }

    #[test]
    fn mounts_leave_out_what_runtimes_refuse_and_what_the_container_has() {
        let changes = changes(&["--no-hooks"], None).unwrap();
        let mut container = Container::default();
        let added = changes.of(&container);
        assert_eq!(added.hooks, None);
        let places: Vec<&str> = added.mounts.iter().map(|one| &*one.destination).collect();
        assert_eq!(places, ["/proc/meminfo", "/sys/devices/system/cpu"]);
        assert_eq!(added.mounts[0].source, "/m/proc/meminfo");
        assert_eq!(added.mounts[0].options[0], "ro");
        assert_eq!(added.mounts[1].options[0], "rw");
        container.mounts.push(Mount {
            destination: "/proc/meminfo".to_owned(),
            ..Mount::default()
        });
        assert_eq!(changes.of(&container).mounts, added.mounts[1..]);
    }
}
