//! Views of plugins, on a real mount.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::TestContainer;
use vistafs_tests::plugins::{Odd, Plugins};
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{MountOptions, Mounted, printed, vistafs, wait_for, wait_until};

/// An emulated processor takes this long for a few processes.
const LONG: Duration = Duration::from_secs(120);

/// On an emulated processor even a successful call may be slow.
const PATIENT: &str = "[worker]\nstuck_seconds = 300\n[plugins]\ntimeout_ms = 60000\n";

fn mounted(plugins: &Plugins, config: &str) -> Mounted {
    let patience = if config.contains("timeout_ms") {
        ""
    } else {
        PATIENT
    };
    Mounted::with(&MountOptions {
        config: format!("{}{config}{patience}", plugins.config()),
        ..MountOptions::default()
    })
}

fn errno(path: &Path) -> Errno {
    Errno::from_raw(std::fs::read(path).unwrap_err().raw_os_error().unwrap())
}

fn views(mounted: &Mounted) -> String {
    let config = mounted.root().with_file_name("config.toml");
    let (root, config) = (mounted.root(), config.to_str().unwrap().to_owned());
    let args = [
        "views",
        "--mount",
        root.to_str().unwrap(),
        "--config",
        &config,
    ];
    printed(&vistafs(&args))
}

fn reload(mounted: &Mounted) {
    let root = mounted.root();
    let _ = printed(&vistafs(&["reload", "--mount", root.to_str().unwrap()]));
}

#[test]
fn what_a_view_answers_is_what_is_read() {
    require_privileged!();
    let plugins = Plugins::with(&["odd"]);
    let mut mounted = mounted(
        &plugins,
        "[plugins]\nmax_bytes = 8192\ntimeout_ms = 60000\n[worker]\nstuck_seconds = 300\n",
    );
    let cgroup = TestCgroup::new();
    let path = |name: &str| mounted.path(&cgroup.address(&format!("proc/odd/{name}")));
    assert_eq!(std::fs::read(path("bytes")).unwrap(), b"\xff\xfe\0\n");
    assert_eq!(std::fs::read(path("little")).unwrap(), b"");
    assert_eq!(std::fs::read(path("slow")).unwrap(), b"slow\n");
    for (name, expected) in [
        ("answer", Errno::ENODATA),
        ("error", Errno::ENXIO),
        ("much", Errno::EFBIG),
        ("panic", Errno::EIO),
    ] {
        assert_eq!(errno(&path(name)), expected, "{name}");
    }
    // The host has no such files.
    assert_eq!(errno(&mounted.path("proc/odd/bytes")), Errno::ENOENT);
    let (status, messages) = mounted.end(Signal::SIGTERM);
    assert!(status.success(), "{messages}");
    for expected in ["it was asked for it", "more than 8192 bytes", "on purpose"] {
        assert!(messages.contains(expected), "{expected}: {messages}");
    }
    assert!(!messages.contains("odd/answer"), "{messages}");
}

#[test]
fn a_file_is_written_and_polled_and_a_tree_is_walked() {
    require_privileged!();
    let plugins = Plugins::with(&["echo"]);
    let mounted = mounted(
        &plugins,
        "[view.echo-said]\nnothing = \"silence\"\nmost = 10\n",
    );
    let cgroups = [TestCgroup::new(), TestCgroup::new()];
    let containers = cgroups
        .each_ref()
        .map(|cgroup| TestContainer::new(&mounted, cgroup));
    let script = "cd $M/proc/echo && cat said && echo loud >said && cat said && \
                  ls -R about && cat about/again && cut -d' ' -f2- about/caller && \
                  ! echo far too long a text >said && ! echo x >about/caller";
    let name = cgroups[0].path().display();
    let expected =
        format!("silence\nloud\nabout:\nagain\ncaller\nmore\n\nabout/more:\nname\n{name}\n0 0\n");
    assert_eq!(containers[0].run(script), expected);
    assert_eq!(containers[1].run("cat $M/proc/echo/said"), "silence\n");
    // On the host, one caller waits for the other, and the next worker knows the written text.
    let path = mounted.path("proc/echo/said");
    let mut file = File::options().read(true).write(true).open(&path).unwrap();
    let polled = |timeout: PollTimeout| {
        let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, timeout).unwrap()
    };
    assert_eq!(polled(PollTimeout::ZERO), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| std::fs::write(&path, "now\n").unwrap());
        assert_eq!(polled(PollTimeout::NONE), 1);
    });
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "now\n");
    file.write_all(b"again").unwrap();
    let worker = mounted.pid();
    reload(&mounted);
    assert_ne!(mounted.pid(), worker);
    let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).unwrap();
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "again\n");
}

#[test]
fn one_that_does_not_return_holds_nobody_up() {
    require_privileged!();
    let plugins = Plugins::with(&["odd", "echo"]);
    let mut mounted = mounted(
        &plugins,
        "[plugins]\ntimeout_ms = 5000\n[worker]\nstuck_seconds = 300\n",
    );
    let cgroups = [TestCgroup::new(), TestCgroup::new()];
    let path = |cgroup: &TestCgroup, view: &str| mounted.path(&cgroup.address(view));
    let never = path(&cgroups[0], "proc/odd/never");
    std::thread::scope(|scope| {
        let stuck: Vec<_> = (0..6).map(|_| scope.spawn(|| errno(&never))).collect();
        // At the same time, in another container and on the host.
        let said = path(&cgroups[1], "proc/echo/said");
        assert_eq!(std::fs::read_to_string(said).unwrap(), "nothing yet\n");
        assert_eq!(mounted.read("proc/echo/about/more/name"), "the host\n");
        for reader in stuck {
            assert_eq!(reader.join().unwrap(), Errno::ETIMEDOUT);
        }
    });
    // Only a few threads are left behind, whoever the callers are.
    assert_eq!(
        errno(&path(&cgroups[1], "proc/odd/never")),
        Errno::ETIMEDOUT
    );
    let said = path(&cgroups[0], "proc/echo/said");
    assert_eq!(std::fs::read_to_string(said).unwrap(), "nothing yet\n");
    let (status, messages) = mounted.end(Signal::SIGTERM);
    assert!(status.success(), "{messages}");
    assert!(
        messages.contains("not returned within 5000 ms"),
        "{messages}"
    );
}

#[test]
fn a_view_that_kills_workers_is_put_aside_alone() {
    require_privileged!();
    let plugins = Plugins::with(&["odd"]);
    let mounted = mounted(&plugins, "");
    let cgroup = TestCgroup::new();
    let path = |name: &str| mounted.path(&cgroup.address(&format!("proc/odd/{name}")));
    // The kernel resends the request to each next worker, or the reader repeats it.
    wait_for(LONG, "it is disabled for the container", || {
        errno(&path("signal")) == Errno::EIO && views(&mounted).contains("disabled for 1")
    });
    // The tree is disabled as well, even without a look-up in it; for the host it keeps working.
    wait_for(LONG, "the tree is disabled, too", || {
        let _ = std::fs::metadata(path("tree"));
        views(&mounted).matches("disabled for 1").count() == 2
    });
    assert!(mounted.path("proc/odd/tree").is_dir());
    assert_eq!(std::fs::read(path("slow")).unwrap(), b"slow\n");
    assert!(!mounted.read(&cgroup.address("proc/meminfo")).is_empty());
}

#[test]
fn what_is_wrong_with_a_plugin_is_told_in_a_line() {
    require_privileged!();
    let plugins = Plugins::with(&["echo", "odd"]);
    plugins.put("echo", "writable.so");
    let writable = std::os::unix::fs::PermissionsExt::from_mode(0o664);
    std::fs::set_permissions(plugins.file("writable.so"), writable).unwrap();
    plugins.put("echo", "foreign.so");
    std::os::unix::fs::chown(plugins.file("foreign.so"), Some(1000), None).unwrap();
    plugins.put("meminfo", "same.so");
    plugins.put_odd(Odd::IsOfAnotherVersion, "version.so");
    plugins.put_odd(Odd::DoesNotWant, "unwilling.so");
    plugins.put_odd(Odd::HasBadViews, "bad.so");
    plugins.put_without_entry("entry.so");
    plugins.put_bytes(b"no library", "text.so");
    plugins.put_bytes(b"not looked at", "README");
    let mut mounted = mounted(&plugins, "");
    let cgroup = TestCgroup::new();
    let said = mounted.read(&cgroup.address("proc/echo/said"));
    assert_eq!(said, "nothing yet\n");
    let slow = mounted.read(&cgroup.address("proc/odd/slow"));
    assert_eq!(slow, "slow\n");
    let listed = views(&mounted);
    let (status, messages) = mounted.end(Signal::SIGTERM);
    assert!(status.success(), "{messages}");
    for (file, expected) in [
        ("writable.so", "others than root may write to it"),
        ("foreign.so", "belongs to user 1000"),
        ("same.so", "[views] replace = [\"proc/meminfo\"]"),
        ("version.so", "made for version 2 of the tables"),
        ("unwilling.so", "refused to load"),
        ("bad.so", "its path etc/passwd is not below proc/ or sys/"),
        (
            "bad.so",
            "its view number 2: the name of a view is not UTF-8",
        ),
        (
            "bad.so",
            "its view number 3: the table of a view is a null pointer",
        ),
        (
            "bad.so",
            "its view number 4: the table of a view is 8 bytes long",
        ),
        ("entry.so", "it exports no function vistafs_plugin"),
        ("text.so", "cannot be loaded"),
    ] {
        for text in [&messages, &listed] {
            let is_it = |line: &&str| line.contains(file) && line.contains(expected);
            let lines = text.lines().filter(is_it).count();
            assert_eq!(lines, 1, "{file}: {expected}: {text}");
        }
    }
    assert!(!messages.contains("README"), "{messages}");
}

#[test]
fn one_that_ends_the_worker_while_it_is_loaded_is_left_out() {
    require_privileged!();
    let plugins = Plugins::with(&["echo"]);
    plugins.put_odd(Odd::AbortsInConstructor, "a.so");
    plugins.put_odd(Odd::AbortsInEntry, "z.so");
    let mut mounted = mounted(&plugins, "");
    let cgroup = TestCgroup::new();
    let said = cgroup.address("proc/echo/said");
    assert_eq!(mounted.read(&said), "nothing yet\n");
    let listed = views(&mounted);
    for file in ["a.so", "z.so"] {
        let is_it = |line: &&str| line.contains(file) && line.contains("not loaded: a worker");
        assert_eq!(listed.lines().filter(is_it).count(), 1, "{listed}");
    }
    // A plugin added later is left out as well; a fixed one serves.
    plugins.put_odd(Odd::AbortsInConstructor, "b.so");
    plugins.put("odd", "a.so");
    reload(&mounted);
    assert_eq!(mounted.read(&cgroup.address("proc/odd/slow")), "slow\n");
    assert_eq!(mounted.read(&said), "nothing yet\n");
    assert!(views(&mounted).contains("not loaded"));
    let (status, messages) = mounted.end(Signal::SIGTERM);
    assert!(status.success(), "{messages}");
    for file in ["a.so", "b.so", "z.so"] {
        let is_it = |line: &&str| line.contains(file) && line.contains("not loaded");
        let times = messages.lines().filter(is_it).count();
        assert_eq!(times, 1, "{file}: {messages}");
    }
    // A command has no supervisor to report the plugin, and survives it as well.
    let config = mounted.root().with_file_name("config.toml");
    let listed = printed(&vistafs(&["views", "--config", config.to_str().unwrap()]));
    let ends = listed.matches("it ends whoever loads it").count();
    assert_eq!(ends, 2, "{listed}");
}

#[test]
fn one_that_is_replaced_on_disk_serves_on() {
    require_privileged!();
    let plugins = Plugins::with(&["echo"]);
    let mounted = mounted(&plugins, "");
    let cgroup = TestCgroup::new();
    let said = cgroup.address("proc/echo/said");
    assert_eq!(mounted.read(&said), "nothing yet\n");
    plugins.put_bytes(b"no library at all", "echo.so");
    plugins.put("odd", "odd.so");
    assert_eq!(mounted.read(&said), "nothing yet\n");
    assert!(!mounted.path("proc/odd/slow").exists());
    reload(&mounted);
    let odd = cgroup.address("proc/odd/slow");
    wait_until("the new one serves", || mounted.path(&odd).exists());
    assert_eq!(mounted.read(&odd), "slow\n");
    assert!(!mounted.path(&said).exists());
}

#[test]
fn the_plugin_of_a_built_in_view_shows_the_same() {
    require_privileged!();
    let plugins = Plugins::with(&["meminfo"]);
    let replace = "[views]\nreplace = [\"proc/meminfo\"]\n";
    let loaded = mounted(&plugins, replace);
    let built_in = Mounted::new();
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(64 << 20);
    let view = cgroup.address("proc/meminfo");
    assert!(views(&loaded).contains("has view meminfo in its place"));
    let mut shown = String::new();
    // The host's use of address space may change between the two.
    wait_until("they agree", || {
        shown = loaded.read(&view);
        shown == built_in.read(&view)
    });
    assert!(shown.contains("MemTotal:          65536 kB\n"), "{shown}");
    // The same in the container; the host sees its own value.
    let head = TestContainer::new(&loaded, &cgroup).run("head -n 1 /proc/meminfo");
    assert_eq!(head, "MemTotal:          65536 kB\n");
    let host = std::fs::read_to_string("/proc/meminfo").unwrap();
    assert_eq!(
        loaded.read("proc/meminfo").lines().next(),
        host.lines().next()
    );
}
