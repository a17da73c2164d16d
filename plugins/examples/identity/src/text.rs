//! The text for people: one line for each value.
//!
//! ```text
//! $ cat /proc/container
//! name: /machine.slice/web
//! age: 60 s
//! cgroup unified (v2): /machine.slice/web
//! memory: 1048576 of 268435456 bytes
//! swap: 0 of max bytes
//! cpus: 2 (0-1)
//! cpu quota: 1.50
//! cpu time: 0.31 s user, 0.12 s system
//! tasks: 27, 1 running, 0 blocked
//! ```

use std::fmt::Write as _;

use crate::identity::{Amount, Identity};

/// Appends the text. `None`: no container.
pub(crate) fn push(identity: Option<&Identity>, out: &mut Vec<u8>) {
    let text = match identity {
        Some(identity) => lines(identity),
        None => "none\n".to_owned(),
    };
    out.extend_from_slice(text.as_bytes());
}

fn lines(identity: &Identity) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        // A string takes all that is written to it.
        let _ = writeln!(text, "{line}");
    };
    line(format_args!("name: {}", one_line(&identity.name)));
    line(format_args!("age: {} s", identity.age_seconds));
    for cgroup in &identity.cgroups {
        let (hierarchy, version) = (one_line(&cgroup.hierarchy), cgroup.version);
        let path = one_line(&cgroup.path);
        line(format_args!("cgroup {hierarchy} (v{version}): {path}"));
    }
    line(format_args!("memory: {}", amount(identity.memory.as_ref())));
    match &identity.swap {
        Some(swap) if swap.with_memory => line(format_args!(
            "memory and swap: {}",
            amount(Some(&swap.amount))
        )),
        swap => line(format_args!(
            "swap: {}",
            amount(swap.as_ref().map(|swap| &swap.amount))
        )),
    }
    let cpu = &identity.cpu;
    line(format_args!("cpus: {} ({})", cpu.count, cpu.list));
    match cpu.quota {
        Some(quota) => line(format_args!("cpu quota: {quota:.2}")),
        None => line(format_args!("cpu quota: max")),
    }
    if let (Some(user), Some(system)) = (cpu.user_ns, cpu.system_ns) {
        let (user, system) = (seconds(user), seconds(system));
        line(format_args!("cpu time: {user} s user, {system} s system"));
    }
    if let Some(tasks) = &identity.tasks {
        line(format_args!(
            "tasks: {}, {} running, {} blocked",
            tasks.total, tasks.running, tasks.blocked
        ));
    }
    text
}

fn amount(amount: Option<&Amount>) -> String {
    match amount {
        None => "not counted".to_owned(),
        Some(Amount { limit: None, usage }) => format!("{usage} of max bytes"),
        Some(Amount {
            limit: Some(limit),
            usage,
        }) => format!("{usage} of {limit} bytes"),
    }
}

/// Nanoseconds in seconds, cut to hundredths.
fn seconds(ns: u64) -> String {
    format!("{}.{:02}", ns / 1_000_000_000, ns / 10_000_000 % 100)
}

/// A container may choose the name of a cgroup: a newline in it would add fake lines.
fn one_line(name: &str) -> String {
    let mut line = String::new();
    for c in name.chars() {
        if c.is_control() || c == '\\' {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line() {
        assert_eq!(one_line("/a b\nmemory: 1"), "/a b\\nmemory: 1");
        assert_eq!(one_line("\\é\u{1b}["), "\\\\é\\u{1b}[");
    }

    #[test]
    fn times_are_cut_to_hundredths() {
        assert_eq!(seconds(1_239_999_999), "1.23");
        assert_eq!(seconds(u64::MAX), "18446744073.70");
    }
}
