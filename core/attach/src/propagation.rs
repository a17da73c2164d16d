//! Peer groups: the namespaces that receive a mount made on a shared mount.
//!
//! See mount_namespaces(7). The IDs of peer groups are the same in every namespace.

/// The peer groups of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Groups {
    /// The group whose members propagate mounts to each other.
    pub(crate) shared: Option<u32>,
    /// The group from which it receives mounts.
    pub(crate) master: Option<u32>,
}

/// Returns the peer groups of the mount with this ID in a mountinfo.
pub(crate) fn of(text: &[u8], id: u32) -> Groups {
    let id = id.to_string();
    let mut lines = text.split(|byte| *byte == b'\n');
    lines
        .find(|line| line.split(|byte| *byte == b' ').next() == Some(id.as_bytes()))
        .map_or_else(Groups::default, groups)
}

/// Returns whether some mount in a mountinfo receives the mounts of this group.
pub(crate) fn reaches(text: &[u8], group: u32) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| {
        let groups = groups(line);
        groups.shared == Some(group) || groups.master == Some(group)
    })
}

fn groups(line: &[u8]) -> Groups {
    let mut groups = Groups::default();
    let columns = line.split(|byte| *byte == b' ').skip(6);
    for column in columns.take_while(|column| *column != b"-") {
        let number = |prefix: &[u8]| {
            let number = std::str::from_utf8(column.strip_prefix(prefix)?).ok()?;
            number.parse().ok()
        };
        groups.shared = groups.shared.or_else(|| number(b"shared:"));
        groups.master = groups.master.or_else(|| number(b"master:"));
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_mounts() {
        let text = b"21 1 0:3 / /proc rw shared:7 master:9 - proc proc rw\n\
                     22 1 0:4 / /sys rw - sysfs shared:8 rw\n\
                     23 1 0:5 / /run rw master:11 - tmpfs tmpfs rw\n";
        let both = Groups {
            shared: Some(7),
            master: Some(9),
        };
        assert_eq!(of(text, 21), both);
        // After the hyphen comes the source, which a container chooses.
        assert_eq!(of(text, 22), Groups::default());
        assert_eq!(of(text, 2), Groups::default());
        let reached: Vec<u32> = (1..12).filter(|group| reaches(text, *group)).collect();
        assert_eq!(reached, [7, 9, 11]);
        assert_eq!(of(b"", 0), Groups::default());
    }
}
