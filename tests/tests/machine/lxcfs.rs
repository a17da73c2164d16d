//! vistafs as a replacement for lxcfs, compared with lxcfs itself where it is installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::{TestContainer, field};
use vistafs_tests::require::program;
use vistafs_tests::vistafs::{MountOptions, Mounted, binary, printed, vistafs, wait_until};
use vistafs_tests::{require, require_privileged};

const MIB: u64 = 1 << 20;

/// Mounts as lxcfs, with the pid file in `dir`.
fn mounted(dir: &Path, options: &str) -> Mounted {
    let pid_file = format!("--pidfile={}", dir.join("pid").display());
    let options = options.split_whitespace().map(str::to_owned);
    Mounted::with(&MountOptions {
        as_lxcfs: Some(options.chain([pid_file]).collect()),
        ..MountOptions::default()
    })
}

fn signal(process: u32, signal: Signal) {
    kill(Pid::from_raw(process.cast_signed()), signal).unwrap();
}

fn total(text: &str) -> u64 {
    field(text, "MemTotal:")
}

/// A link to the program with the name `lxcfs`.
fn link(dir: &Path) -> PathBuf {
    let link = dir.join("lxcfs");
    std::os::unix::fs::symlink(binary(), &link).unwrap();
    link
}

#[test]
fn mistakes_end_as_those_of_lxcfs_do() {
    require_privileged!();
    let dir = tempfile::tempdir().unwrap();
    let ours = link(dir.path());
    let mount_point = dir.path().join("m");
    std::fs::create_dir(&mount_point).unwrap();
    let run = |program: &Path, line: &str| -> Output {
        let line = line.replace("DIR", dir.path().to_str().unwrap());
        Command::new(program)
            .args(line.split_whitespace())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    // The exit status of lxcfs 5.0.3, and the start or end of its standard error.
    let lines = [
        ("--help", 1, "Usage: lxcfs"),
        ("-n", 1, "Usage: lxcfs"),
        ("-v", 0, ""),
        ("--version", 0, ""),
        ("", 1, ""),
        ("--bogus DIR/m", 1, "bogus"),
        ("-d -f DIR/m", 1, "debug"),
        ("-p DIR/pid -o bogus DIR/m", 1, "bogus"),
        ("-p DIR/pid DIR/nowhere", 1, "nowhere"),
        ("-p DIR/pid a b", 1, ""),
    ];
    let witness = program("lxcfs").then(|| PathBuf::from("lxcfs"));
    for who in witness.iter().chain([&ours]) {
        for (line, status, said) in lines {
            let output = run(who, line);
            let text = String::from_utf8_lossy(&output.stderr);
            let who = who.display();
            assert_eq!(output.status.code(), Some(status), "{who} {line}: {text}");
            assert!(text.contains(said), "{who} {line}: {text}");
            assert!(output.stdout.is_empty(), "{who} {line}");
        }
        // Neither leaves its pid file.
        assert!(!dir.path().join("pid").exists(), "{}", who.display());
    }
    // The same as a subcommand of vistafs.
    let help = String::from_utf8(vistafs(&["lxcfs", "--help"]).stderr).unwrap();
    assert_eq!(help.as_bytes(), run(&ours, "-h").stderr);
    assert!(help.lines().count() <= 25, "{help}");
    let refused = run(&ours, "-o ro -p DIR/pid DIR/m");
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(text.contains("mount option ro: "), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn the_pid_file_is_locked_as_long_as_it_runs() {
    require_privileged!();
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let mut served = mounted(dir.path(), "-o allow_other,nonempty,entry_timeout=0.5");
    let supervisor = served.supervisor();
    let kept = || std::fs::read_to_string(&pid_file).unwrap();
    assert_eq!(kept(), format!("{supervisor}\n"));
    let is_refused = |program: &Path| {
        let elsewhere = dir.path().join("elsewhere");
        let _ = std::fs::create_dir(&elsewhere);
        let pid_file = pid_file.to_str().unwrap();
        let output = Command::new(program)
            .args(["-p", pid_file, elsewhere.to_str().unwrap()])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("already locked"), "{text}");
    };
    let ours = link(dir.path());
    is_refused(&ours);
    // The process that replaces the supervisor keeps the lock.
    let worker = served.pid();
    signal(supervisor, Signal::SIGUSR1);
    wait_until("there is another worker alone", || {
        served.pid() != worker && vistafs_tests::vistafs::children(supervisor).len() == 1
    });
    wait_until("the supervisor is the new program", || {
        std::fs::read_to_string(format!("/proc/{supervisor}/environ"))
            .is_ok_and(|text| text.contains("VISTAFS_RESUME"))
    });
    is_refused(&ours);
    assert_eq!(kept(), format!("{supervisor}\n"));
    if program("lxcfs") {
        // It removes the pid file of the process that it replaces.
        is_refused(Path::new("lxcfs"));
        std::fs::write(&pid_file, "").unwrap();
    }
    let (status, messages) = served.end(Signal::SIGTERM);
    assert!(status.success(), "{messages}");
    std::fs::remove_file(&pid_file).unwrap_or_default();
    // The lock is free again.
    let mut again = mounted(dir.path(), "");
    assert_eq!(kept(), format!("{}\n", again.supervisor()));
    let (status, messages) = again.end(Signal::SIGTERM);
    assert!(status.success() && !pid_file.exists(), "{messages}");
}

#[test]
fn sigusr2_passes_the_host_s_files_and_back() {
    require_privileged!();
    let dir = tempfile::tempdir().unwrap();
    let mut served = mounted(dir.path(), "");
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(64 * MIB);
    cgroup.limit_cpus("0");
    let container = TestContainer::new(&served, &cgroup);
    // Kept open, as by monitoring tools.
    let script = "exec 3< /proc/meminfo\n\
        while read -r word; do\n\
        echo \"$(head -n 1 <&3) | $(head -n 1 /proc/meminfo) | $(cat /sys/devices/system/cpu/online)\"\n\
        exec 3<&-; exec 3< /proc/meminfo\ndone";
    let mut child = container.spawn(script);
    let mut input = child.stdin.take().unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut seen = || {
        use std::io::{BufRead, Write};
        input.write_all(b"\n").unwrap();
        let mut line = String::new();
        let _ = output.read_line(&mut line).unwrap();
        let parts: Vec<String> = line.trim().split(" | ").map(str::to_owned).collect();
        (total(&parts[0]), total(&parts[1]), parts[2].clone())
    };
    let host = total(&std::fs::read_to_string("/proc/meminfo").unwrap());
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap();
    let passed = (host, host, online.trim().to_owned());
    let own = (65536, 65536, "0".to_owned());
    let status = |root: &Path| {
        printed(&vistafs(&["status", "--mount", root.to_str().unwrap()])).contains("passing")
    };
    let root = served.root();
    assert_eq!(seen(), own);
    assert!(!status(&root));
    signal(served.supervisor(), Signal::SIGUSR2);
    wait_until("it is passed", || status(&root));
    assert_eq!(seen(), passed);
    // Several workers, and several programs.
    let worker = served.pid();
    signal(worker, Signal::SIGKILL);
    wait_until("another worker serves", || served.pid() != worker);
    assert_eq!(seen(), passed);
    let worker = served.pid();
    let upgrade = vistafs(&["upgrade", "--mount", root.to_str().unwrap()]);
    let _ = printed(&upgrade);
    assert_ne!(served.pid(), worker);
    assert_eq!(seen(), passed);
    assert!(status(&root));
    signal(served.supervisor(), Signal::SIGUSR2);
    wait_until("it is not passed any more", || !status(&root));
    assert_eq!(seen(), own);
    drop(input);
    assert!(child.wait().unwrap().success());
    let (_, messages) = served.end(Signal::SIGTERM);
    let is_said = |line: &str| messages.lines().any(|said| said.ends_with(line));
    assert!(
        is_said("Switched into non-virtualization mode"),
        "{messages}"
    );
    assert!(is_said("Switched into virtualization mode"), "{messages}");
}

#[test]
fn strictly_containers_see_what_lxcfs_would_show() {
    require_privileged!();
    let dir = tempfile::tempdir().unwrap();
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(64 * MIB);
    cgroup.limit_cpu(Some(100));
    let script = "cat /sys/devices/system/cpu/online; cat /proc/loadavg; \
                  grep SwapTotal /proc/meminfo";
    let seen = |options: &str| {
        let served = mounted(dir.path(), options);
        let names = std::fs::read_dir(served.path("proc")).unwrap();
        let mut names: Vec<_> = names.map(|name| name.unwrap().file_name()).collect();
        names.sort();
        let text = TestContainer::new(&served, &cgroup).run(script);
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let threads = lines[1].split(['/', ' ']).nth(4).unwrap().parse::<u32>();
        (names, lines[0].clone(), threads.unwrap(), lines[2].clone())
    };
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap();
    let of_lxcfs = [
        "cpuinfo",
        "diskstats",
        "loadavg",
        "meminfo",
        "pressure",
        "slabinfo",
        "stat",
        "swaps",
        "uptime",
    ];
    let (names, cpus, threads, _) = seen("--strict-lxcfs");
    // Files that the kernel lacks are missing; one name is new in lxcfs 7.0.
    assert!(
        names
            .iter()
            .all(|name| of_lxcfs.iter().any(|of| name == of)),
        "{names:?}"
    );
    assert_eq!(cpus, online.trim());
    assert!(
        threads > 20,
        "the host's load has the host's threads, not {threads}"
    );
    let (_, cpus, threads, swap) = seen("--strict-lxcfs -lu --enable-cfs");
    assert_eq!(cpus, "0");
    assert!(
        threads < 20,
        "the container's load has its own threads, not {threads}"
    );
    assert_eq!(field(&swap, "SwapTotal:"), 0);
    // Without `--strict-lxcfs`, correct values need no option.
    let (names, cpus, threads, _) = seen("");
    assert!(names.iter().any(|name| name == "vmstat"), "{names:?}");
    assert_eq!(cpus, "0");
    assert!(threads < 20, "{threads}");
}

/// Debian's hook, and its replacement of the package vistafs-lxcfs.
#[test]
fn lxc_containers_get_the_views_by_the_hook() {
    require_privileged!();
    require!(
        program("lxc-execute"),
        "needs lxc-execute (apt-get install lxc)"
    );
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for name in ["proc", "sys", "dev", "usr", "tmp", "var/lib/lxcfs"] {
        std::fs::create_dir_all(root.join(name)).unwrap();
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        if let Ok(to) = std::fs::read_link(format!("/{name}")) {
            std::os::unix::fs::symlink(to, root.join(name)).unwrap();
        }
    }
    // The path is compiled in, and a guest has the files elsewhere.
    let ours = dir.path().join("hook");
    std::fs::write(
        &ours,
        include_bytes!("../../../contrib/lxcfs/lxc.mount.hook"),
    )
    .unwrap();
    std::fs::set_permissions(&ours, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let debian = PathBuf::from("/usr/share/lxcfs/lxc.mount.hook");
    let limit = if TestCgroup::new().is_v2("memory") {
        "lxc.cgroup2.memory.max = 64M"
    } else {
        "lxc.cgroup.memory.limit_in_bytes = 64M"
    };
    for hook in [Some(ours), debian.exists().then_some(debian)]
        .into_iter()
        .flatten()
    {
        let config = format!(
            "lxc.uts.name = box\nlxc.rootfs.path = dir:{}\n\
             lxc.mount.auto = proc:mixed sys:mixed\nlxc.mount.entry = /usr usr none bind,ro 0 0\n\
             lxc.net.0.type = empty\nlxc.autodev = 1\nlxc.apparmor.profile = unconfined\n\
             lxc.hook.mount = {}\n{limit}\n",
            root.display(),
            hook.display()
        );
        std::fs::write(dir.path().join("config"), config).unwrap();
        // In a private mount namespace, because the path is fixed.
        let script = "set -e\n\
            mkdir -p /var/lib/lxcfs\n\
            \"$VISTAFS\" lxcfs --no-repair -p pid /var/lib/lxcfs & \n\
            until [ -e /var/lib/lxcfs/proc/meminfo ]; do kill -0 $!; sleep 0.1; done\n\
            status=0\n\
            lxc-execute -n \"vistafs-$$\" -P . -f config -o log -l WARN -- /bin/sh -c 'head -n 1 \
            /proc/meminfo; grep -c \"^lxcfs .* fuse.lxcfs \" /proc/mounts; ls /var/lib/lxcfs' || status=$?\n\
            kill \"$(cat pid)\"\nwait\nexit $status";
        let output = Command::new("unshare")
            .args(["-m", "sh", "-c", script])
            .current_dir(dir.path())
            .env("VISTAFS", binary())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let log = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        assert!(
            output.status.success(),
            "{}: {log}{}",
            hook.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        let text = printed(&output);
        assert_eq!(total(&text), 65536, "{text}");
        let binds: u32 = text.lines().nth(1).unwrap().trim().parse().unwrap();
        assert!(binds >= 9, "{binds}");
        // The same for containers in it.
        assert!(text.lines().any(|line| line == "proc"), "{text}");
    }
}
