//! Errors in one line, with a hint for kernel errors whose message has none: one table, by errno.
//!
//! A message that ends with a hint in parentheses is left as it is.

use nix::errno::Errno;

/// Returns the error and its causes in one line, with a hint.
pub fn in_one_line(error: &anyhow::Error) -> String {
    with_hint(format!("{error:#}"), error)
}

/// Appends the hint for `error` to `line`, unless it has one.
pub fn with_hint(mut line: String, error: &anyhow::Error) -> String {
    let Some(errno) = error.chain().filter_map(one_errno).last() else {
        return line;
    };
    // The name of the error is enough.
    line = line.replace(&format!(" (os error {})", errno as i32), "");
    if !line.contains(['(', ';']) {
        line = format!("{line} ({})", hint(errno));
    }
    line
}

fn one_errno(error: &(dyn std::error::Error + 'static)) -> Option<Errno> {
    let of_std = |error: &std::io::Error| error.raw_os_error().map(Errno::from_raw);
    let of_rustix = |errno: &rustix::io::Errno| Errno::from_raw(errno.raw_os_error());
    let nix = error.downcast_ref::<Errno>().copied();
    nix.or_else(|| error.downcast_ref().and_then(of_std))
        .or_else(|| error.downcast_ref().map(of_rustix))
}

fn hint(errno: Errno) -> &'static str {
    match errno {
        Errno::EMFILE => "raise the limit of open files: LimitNOFILE= of the unit, or ulimit -n",
        Errno::ENFILE => "the host has no open file left: raise fs.file-max",
        Errno::EAGAIN => "raise the limit of processes: TasksMax= of the unit, or ulimit -u",
        Errno::ENOMEM => "memory is short: raise MemoryMax= of the unit, or make room on the host",
        Errno::ENOSPC | Errno::EDQUOT => "make room there",
        Errno::EROFS => "it is mounted read-only: choose another place, or mount it rw",
        Errno::EPERM | Errno::EACCES => "run it as root; vistafs doctor lists what it needs",
        Errno::ENOTCONN => "a dead FUSE mount is in the way: umount -l it",
        Errno::ENOSYS => "this kernel lacks the system call: see vistafs doctor",
        _ => "vistafs doctor looks at what vistafs needs of the host",
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn an_error_of_the_kernel_s_gets_a_remedy() {
        let error = anyhow::Error::from(std::io::Error::from_raw_os_error(libc::EMFILE))
            .context("cannot open /proc/self/ns/mnt");
        assert_eq!(
            in_one_line(&error),
            "cannot open /proc/self/ns/mnt: Too many open files (raise the limit of open files: \
             LimitNOFILE= of the unit, or ulimit -n)"
        );
    }

    #[test]
    fn a_message_that_has_a_remedy_keeps_it() {
        let failed: Result<(), _> = Err(Errno::EACCES);
        let error = failed.context("cannot open /dev/fuse (load the fuse module)");
        assert!(!in_one_line(&error.unwrap_err()).contains("doctor"));
    }

    #[test]
    fn what_is_no_error_of_the_kernel_s_is_left_alone() {
        assert_eq!(
            in_one_line(&anyhow::anyhow!("no such view")),
            "no such view"
        );
    }
}
