//! The options of `-o`.
//!
//! lxcfs passes them to libfuse (mount.fuse3(8), fuse(8)). Here each option is one of three: vistafs always mounts like
//! that; it has no effect, which is logged; or it is refused, because vistafs does
//! not support it.

use anyhow::bail;

/// Options that always apply.
const AS_IT_IS: &[&str] = &[
    "allow_other",
    "async",
    "default_permissions",
    "direct_io",
    "nodev",
    "noexec",
    "nonempty",
    "nosuid",
    "rw",
];

/// Options that tune libfuse only.
const WITHOUT_MEANING: &[&str] = &[
    "ac_attr_timeout",
    "async_read",
    "atime",
    "attr_timeout",
    "auto_cache",
    "auto_unmount",
    "clone_fd",
    "debug",
    "entry_timeout",
    "fsname",
    "intr",
    "kernel_cache",
    "max_idle_threads",
    "max_read",
    "max_readahead",
    "max_threads",
    "max_write",
    "negative_timeout",
    "noatime",
    "noauto_cache",
    "noforget",
    "remember",
    "subtype",
    "sync",
    "sync_read",
    "splice_move",
    "splice_read",
    "splice_write",
];

/// Options that would change permissions, with alternatives.
const REFUSED: &[(&str, &str)] = &[
    (
        "allow_root",
        "containers must be able to read: leave it out",
    ),
    ("blkdev", "nothing is read from a device: leave it out"),
    ("dev", "no device is served: leave it out"),
    ("exec", "no program is served: leave it out"),
    ("gid", "files belong to root, as the kernel's: leave it out"),
    ("modules", "there is no libfuse to load them: leave it out"),
    (
        "ro",
        "triggers and cgroup files are written to: bind-mount read-only instead",
    ),
    ("suid", "no program is served: leave it out"),
    ("uid", "files belong to root, as the kernel's: leave it out"),
    (
        "umask",
        "modes are those of the kernel's files: leave it out",
    ),
];

/// Checks a list of options as given.
pub(super) fn check(list: &str) -> anyhow::Result<()> {
    for option in list.split(',').filter(|option| !option.is_empty()) {
        let name = option.split_once('=').map_or(option, |(name, _)| name);
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            bail!("mount option {option}: {why}");
        }
        if AS_IT_IS.contains(&name) {
            continue;
        }
        if !WITHOUT_MEANING.contains(&name) {
            bail!(
                "unknown mount option {option} (it means nothing to vistafs either: leave it out)"
            );
        }
        log::info!("mount option {option} changes nothing for vistafs");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_has_one_answer() {
        for list in [
            "",
            ",",
            "allow_other,nonempty",
            "entry_timeout=0.5,rw",
            "fsname=x",
        ] {
            check(list).unwrap();
        }
        let refused = |list| check(list).unwrap_err().to_string();
        assert!(refused("allow_other,ro").starts_with("mount option ro: "));
        assert!(refused("umask=022").contains("umask=022"));
        assert!(refused("bogus=1").starts_with("unknown mount option bogus=1"));
        let mut all: Vec<&str> = REFUSED.iter().map(|(name, _)| *name).collect();
        all.extend(AS_IT_IS.iter().chain(WITHOUT_MEANING));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
