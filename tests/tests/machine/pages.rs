//! The commands for container hosts in contrib/doc, and the files in contrib that it names.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use vistafs_tests::bundle::Bundle;
use vistafs_tests::cdi;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::field;
use vistafs_tests::page::block;
use vistafs_tests::vistafs::{Mounted, binary, printed, vistafs};
use vistafs_tests::{require, require_privileged};

pub(crate) const PAGE: &str = include_str!("../../../contrib/doc/CONTAINER_HOSTS.md");
pub(crate) const HOOK: &str = include_str!("../../../contrib/oci/vistafs.json");
const LXC: &str = include_str!("../../../contrib/lxc/10-vistafs.conf");
const NSPAWN: &str = include_str!("../../../contrib/nspawn/vistafs.nspawn");
const NSPAWN_DROP_IN: &str = include_str!("../../../contrib/nspawn/vistafs-views.conf");
const NSPAWN_UNIT: &str = include_str!("../../../contrib/nspawn/vistafs-views.service");

/// The mount point in documents and files.
pub(crate) const PLACE: &str = "/var/lib/vistafs";
const PROGRAM: &str = "/usr/bin/vistafs";

/// Replaces the documented mount point and program with those of the test.
fn here(text: &str, mounted: &Mounted) -> String {
    let mount = mounted.root();
    text.replace(PLACE, mount.to_str().unwrap())
        .replace(PROGRAM, binary().to_str().unwrap())
}

#[test]
fn the_commands_of_the_page_for_cdi() {
    require_privileged!();
    let mounted = Mounted::new();
    let dir = tempfile::tempdir().unwrap();
    symlink(binary(), dir.path().join("vistafs")).unwrap();
    let commands = block(PAGE, "sh", "cdi");
    let commands: String = commands
        .lines()
        .map(|line| line[2..].to_owned() + "\n")
        .collect();
    let commands = here(&commands, &mounted).replace("/etc/cdi", dir.path().to_str().unwrap());
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("sh")
        .args(["-euc", &commands])
        .env("PATH", format!("{}:{path}", dir.path().display()))
        .output()
        .unwrap();
    let _ = printed(&output);
    let written = std::fs::read_to_string(dir.path().join("vistafs.json")).unwrap();
    let _ = cdi::Spec::read(&written);
}

/// Matches a hook as Podman and CRI-O do: regular expressions over names and values of annotations. Ours are
/// simple enough to compare as strings.
fn is_wanted(hook: &Value, annotation: Option<&str>) -> bool {
    let annotations = hook["when"]["annotations"].as_object().unwrap();
    let (name, values) = annotations.iter().next().unwrap();
    assert_eq!(name, r"^dev\.vistafs$");
    let values = values.as_str().unwrap();
    let values = values.strip_prefix("^(").and_then(|v| v.strip_suffix(")$"));
    annotation.is_some_and(|value| values.unwrap().split('|').any(|one| one == value))
}

#[test]
fn the_hook_s_file_is_what_podman_and_cri_o_read() {
    require_privileged!();
    require!(
        vistafs_tests::require::program("runc"),
        "needs runc (apt install runc)"
    );
    let hook: Value = serde_json::from_str(HOOK).unwrap();
    assert_eq!(hook["version"], "1.0.0");
    for (annotation, wanted) in [(None, false), (Some("true"), true), (Some("false"), false)] {
        assert_eq!(is_wanted(&hook, annotation), wanted, "{annotation:?}");
    }
    let mounted = Mounted::new();
    let dir = tempfile::tempdir().unwrap();
    let seen = dir.path().join("seen");
    // Runs the hook in the container's cgroup: its look-ups must be the container's.
    let script = format!(
        "for n in mnt pid cgroup; do readlink /proc/self/ns/$n; done >{}; exec \"$@\"",
        seen.display()
    );
    let program = binary();
    let mut args: Vec<String> = serde_json::from_value(hook["hook"]["args"].clone()).unwrap();
    args[0] = program.to_str().unwrap().to_owned();
    args.extend(["--mount".into(), mounted.root().to_str().unwrap().into()]);
    let args = [&["sh".into(), "-c".into(), script, "sh".into()], &args[..]].concat();
    let stage = hook["stages"][0].as_str().unwrap();
    let mut bundle = Bundle::new(
        "head -1 /proc/meminfo; for n in mnt pid cgroup; do readlink /proc/self/ns/$n; done",
    );
    bundle.config["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "cgroup"}));
    bundle.config["hooks"] = json!({stage: [{
        "path": "/bin/sh", "args": args, "timeout": 120,
        "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
    }]});
    let text = printed(&bundle.run("runc"));
    assert_eq!(field(&text, "MemTotal:"), 128 * 1024, "{text}");
    let inside: Vec<&str> = text.lines().skip(1).collect();
    let hook_s = std::fs::read_to_string(seen).unwrap();
    assert_eq!(hook_s.lines().collect::<Vec<_>>(), inside);
}

#[test]
fn lxc_with_the_hook() {
    require_privileged!();
    require!(has_lxc(), "needs LXC (apt install lxc)");
    let mounted = Mounted::new();
    let text = executed_by_lxc(&mounted, "");
    for target in ["/proc/stat", "/proc/vmstat", "/sys/devices/system/cpu"] {
        assert!(
            text.lines()
                .any(|line| line.split(' ').nth(1) == Some(target)),
            "{target}: {text}"
        );
    }
    let outside = vistafs(&["lxc-hook", "--required"]);
    let said = String::from_utf8_lossy(&outside.stderr).into_owned();
    assert!(
        !outside.status.success() && said.contains("LXC_ROOTFS_MOUNT"),
        "{said}"
    );
}

/// Binds files of the page-cache tree; the rest is from the usual mount.
#[test]
fn lxc_binds_from_the_page_cache_tree() {
    require_privileged!();
    require!(has_lxc(), "needs LXC (apt install lxc)");
    let (mounted, tree) = (Mounted::new(), crate::page_cache_tree::tree(50));
    let text = executed_by_lxc(&mounted, &format!("--page-cache {}", tree.root().display()));
    // Below the container's ID, ten digits.
    let is_own = |line: &&str| line.find("/proc/meminfo") == Some(13);
    assert!(text.lines().any(|line| is_own(&line)), "{text}");
    let usual = "/sys/devices/system/cpu /sys/devices/system/cpu";
    assert!(text.lines().any(|line| line == usual), "{text}");
}

fn has_lxc() -> bool {
    vistafs_tests::require::program("lxc-execute")
}

/// The mounts (source and target) of an LXC container with 64 MiB, after checking its limit. `more`:
/// arguments of the hook.
fn executed_by_lxc(mounted: &Mounted, more: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let root = root_directory(dir.path());
    let limit = if Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists()
        || Path::new("/sys/fs/cgroup/memory/memory.stat").exists()
    {
        "lxc.cgroup.memory.limit_in_bytes = 67108864"
    } else {
        "lxc.cgroup2.memory.max = 67108864"
    };
    let config = format!(
        "lxc.rootfs.path = dir:{}\nlxc.uts.name = c\nlxc.net.0.type = empty\n\
         lxc.mount.auto = proc:mixed sys:mixed\nlxc.mount.entry = /usr usr none ro,bind 0 0\n{limit}\n{} --mount {} --required {more}\n",
        root.display(),
        here(LXC, mounted).trim_end(),
        mounted.root().display(),
    );
    let file = dir.path().join("config");
    std::fs::write(&file, config).unwrap();
    let of_test = dir.path().file_name().unwrap().to_str().unwrap();
    let name = format!("vt-lxc-{}", of_test.trim_start_matches('.'));
    let log = dir.path().join("log");
    let output = Command::new("lxc-execute")
        .args(["-n", &name, "-P"])
        .arg(dir.path())
        .arg("-f")
        .arg(&file)
        .args(["-l", "INFO", "-o"])
        .arg(&log)
        .args(["--", "sh", "-c"])
        .arg(
            "head -1 /proc/meminfo; grep ' fuse.vistafs ' /proc/self/mountinfo | cut -d ' ' -f 4,5",
        )
        .stdin(Stdio::null())
        .output()
        .unwrap();
    if !output.status.success() {
        eprintln!("{}", std::fs::read_to_string(log).unwrap_or_default());
    }
    let text = printed(&output);
    assert_eq!(field(&text, "MemTotal:"), 64 * 1024, "{text}");
    text
}

/// The root file system of a container that uses this machine's /usr.
pub(crate) fn root_directory(dir: &Path) -> std::path::PathBuf {
    let root = dir.join("root");
    for name in ["usr", "proc", "sys", "dev", "run", "tmp", "etc", "var/lib"] {
        std::fs::create_dir_all(root.join(name)).unwrap();
    }
    std::fs::write(root.join("etc/os-release"), "").unwrap();
    for link in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{link}"), root.join(link)).unwrap();
    }
    root
}

#[test]
fn nspawn_with_its_file() {
    require_privileged!();
    require!(
        vistafs_tests::require::program("systemd-nspawn"),
        "needs systemd-nspawn (apt install systemd-container)"
    );
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(64 << 20);
    let dir = tempfile::tempdir().unwrap();
    let root = root_directory(dir.path());
    let unit = dir.path().join("vistafs-views.service");
    std::fs::write(&unit, NSPAWN_UNIT).unwrap();
    let drop_in = dir.path().join("vistafs-views.conf");
    std::fs::write(&drop_in, NSPAWN_DROP_IN).unwrap();
    let mount = mounted.root();
    let settings = NSPAWN
        .replace(
            "Bind=/var/lib/vistafs\n",
            &format!("Bind={}:{PLACE}\nBindReadOnly=/usr\n", mount.display()),
        )
        .replace(
            "/usr/share/vistafs/vistafs-views.service:",
            &format!("{}:", unit.display()),
        )
        .replace(
            "/usr/share/vistafs/vistafs-views.conf:",
            &format!("{}:", drop_in.display()),
        );
    let name = format!("vt-nspawn-{}", std::process::id());
    let directory = Path::new("/run/systemd/nspawn");
    std::fs::create_dir_all(directory).unwrap();
    let file = directory.join(format!("{name}.nspawn"));
    std::fs::write(&file, settings).unwrap();
    // The program that systemd would run in the container; here the container does not boot.
    let start = NSPAWN_UNIT
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/bin/sh -c '"));
    let start = start.unwrap().strip_suffix('\'').unwrap();
    // systemd prints what it would start at boot; not as root.
    let would_start = "setpriv --reuid 65534 --regid 65534 --clear-groups \
         env SYSTEMD_UNIT_PATH=/run/systemd/system:/usr/lib/systemd/system XDG_RUNTIME_DIR=/tmp \
         /usr/lib/systemd/systemd --test --system --unit=sysinit.target 2>&1 | \
         grep -ao 'Wants: vistafs-views.service'";
    let script = format!(
        "{start}; head -1 /proc/meminfo; {would_start}; \
         grep ' fuse.vistafs ' /proc/self/mountinfo | cut -d ' ' -f 5"
    );
    let mut outer = cgroup.join_script();
    outer.extend_from_slice(
        format!(
            "exec systemd-nspawn -q -M {name} --register=no --keep-unit -D {} --as-pid2 sh -c \"$INNER\"\n",
            root.display()
        )
        .as_bytes(),
    );
    let output = Command::new("sh")
        .arg("-c")
        .arg(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(outer))
        .env("INNER", script)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    std::fs::remove_file(file).unwrap();
    // It creates these in the cgroup in which it is started, and leaves them.
    for below in ["payload", "supervisor"] {
        for dir in cgroup.directories() {
            let _ = std::fs::remove_dir(dir.join(below));
        }
    }
    let text = printed(&output);
    assert_eq!(field(&text, "MemTotal:"), 64 * 1024, "{text}");
    for line in [
        "Wants: vistafs-views.service",
        "/proc/stat",
        "/proc/vmstat",
        "/sys/devices/system/cpu",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
}

/// Colours are used on terminals only, and not with NO_COLOR.
#[test]
fn help_is_coloured_on_a_terminal_alone() {
    require!(
        vistafs_tests::require::program("script"),
        "needs script (apt install bsdutils)"
    );
    let escapes = |text: &[u8]| text.contains(&0x1b);
    assert!(!escapes(&vistafs(&["--help"]).stdout));
    let on_terminal = |no_color: bool| {
        let mut command = Command::new("script");
        command
            .args([
                "-qec",
                &format!("{} --help", binary().display()),
                "/dev/null",
            ])
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .envs(no_color.then_some(("NO_COLOR", "1")))
            .stdin(Stdio::null());
        command.output().unwrap().stdout
    };
    assert!(escapes(&on_terminal(false)));
    assert!(!escapes(&on_terminal(true)));
}
