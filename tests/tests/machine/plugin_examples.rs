//! The example plugins, loaded by vistafs, on a real mount.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::TestContainer;
use vistafs_tests::plugins::Plugins;
use vistafs_tests::vistafs::{MountOptions, Mounted, printed};
use vistafs_tests::{require, require_privileged};

const MIB: u64 = 1 << 20;

/// The directory of the Rust plugins: `VISTAFS_PLUGINS`, or cargo's output beside the tests.
fn built(file: &str) -> PathBuf {
    if let Some(directory) = std::env::var_os("VISTAFS_PLUGINS") {
        return Path::new(&directory).join(file);
    }
    std::env::current_exe().unwrap().with_file_name(file)
}

/// A mount with one example.
fn mounted(object: &Path, config: &str) -> (Mounted, Plugins) {
    let plugins = Plugins::new();
    plugins.put_bytes(&std::fs::read(object).unwrap(), "example.so");
    let mounted = Mounted::with(&MountOptions {
        config: format!(
            // An emulated processor is slow.
            "{}[plugins]\ntimeout_ms = 20000\n[worker]\nstuck_seconds = 300\n{config}",
            plugins.config()
        ),
        ..MountOptions::default()
    });
    (mounted, plugins)
}

#[test]
fn a_container_is_told_who_it_is() {
    require_privileged!();
    let (mounted, _plugins) = mounted(&built("libvistafs_identity.so"), "");
    let cgroups = [TestCgroup::new(), TestCgroup::new()];
    for (cgroup, mib) in cgroups.iter().zip([64, 32]) {
        cgroup.limit_memory(mib * MIB);
        cgroup.limit_cpus("0");
    }
    for (cgroup, mib) in cgroups.iter().zip([64, 32]) {
        let container = TestContainer::new(&mounted, cgroup);
        let told = container.run("cat $M/proc/container.json $M/proc/container");
        let (json, text) = told.split_once("}\nname: ").unwrap();
        let json: Value = serde_json::from_str(&format!("{json}}}")).unwrap();
        let name = cgroup.path().to_str().unwrap();
        assert_eq!(json["name"], name);
        assert_eq!(json["memory"]["limit"], mib * MIB);
        assert_eq!(json["cpu"]["list"], "0");
        let paths = json["cgroups"].as_array().unwrap();
        let named = paths.iter().filter(|one| one["path"] == name).count();
        assert_eq!(named, cgroup.directories().len(), "{json}");
        // In the other hierarchies the container is in the test's cgroup.
        assert!(paths.len() >= named, "{json}");
        assert!(text.starts_with(&format!("{name}\nage: ")), "{text}");
        assert!(
            text.contains(&format!(" of {} bytes\n", mib * MIB)),
            "{text}"
        );
        assert!(text.contains("\ncpus: 1 (0)\n"), "{text}");
    }
    assert_eq!(mounted.read("proc/container"), "none\n");
    assert_eq!(mounted.read("proc/container.json"), "null\n");
}

/// The C plugin; a guest without a compiler has it prebuilt.
fn entropy(directory: &Path) -> Option<PathBuf> {
    if std::env::var_os("VISTAFS_PLUGINS").is_some() {
        return Some(built("vistafs_entropy.so"));
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let object = directory.join("entropy.so");
    let mut cc = Command::new("cc");
    // The command of its README.
    cc.args("-std=c11 -Wall -Wextra -Werror -O2 -fPIC -shared -o".split(' '))
        .arg(&object)
        .arg("-I")
        .arg(top.join("plugins/abi/include"))
        .arg(top.join("plugins/examples/entropy/entropy.c"));
    let _ = printed(&cc.output().ok()?);
    Some(object)
}

#[test]
fn a_plugin_in_c_counts_who_asks() {
    require_privileged!();
    let directory = tempfile::tempdir().unwrap();
    let object = entropy(directory.path());
    require!(object.is_some(), "needs a C compiler (apt-get install gcc)");
    let (mounted, _plugins) = mounted(&object.unwrap(), "[view.entropy]\nlow = 0\n");
    let pool = std::fs::read_to_string("/proc/sys/kernel/random/poolsize").unwrap();
    let common = |text: &str| {
        let mut lines = text.lines();
        let available = lines.next().unwrap();
        let end = format!(" of {} bits", pool.trim());
        assert!(
            available.starts_with("available: ") && available.ends_with(&end),
            "{text}"
        );
        assert_eq!(lines.next(), Some("state: enough"), "{text}");
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    // Each container has its own.
    for _ in 0..2 {
        let cgroup = TestCgroup::new();
        let container = TestContainer::new(&mounted, &cgroup);
        let shown = container.run("cat $M/proc/entropy && echo -- && cat $M/proc/entropy");
        let (first, second) = shown.split_once("--\n").unwrap();
        assert_eq!(common(first), ["asked: 1"]);
        assert_eq!(common(second), ["asked: 2"]);
    }
    assert!(common(&mounted.read("proc/entropy")).is_empty());
}

/// The files of a host with two GPUs.
fn with_gpus(root: &Path) {
    for (path, text) in [
        ("dev/nvidia0", ""),
        ("dev/dri/renderD128", ""),
        (
            "sys/class/drm/renderD128/device/uevent",
            "DRIVER=amdgpu\nPCI_ID=1002:73BF\nPCI_SLOT_NAME=0000:03:00.0\n",
        ),
        (
            "proc/driver/nvidia/gpus/0000:0a:00.0/information",
            "Device Minor: \t 0\nBus Location: \t 0000:0A:00.0\n",
        ),
    ] {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn a_container_finds_its_own_gpus_alone() {
    require_privileged!();
    let root = tempfile::tempdir().unwrap();
    with_gpus(root.path());
    let (own, none) = (TestCgroup::new(), TestCgroup::new());
    if !own.is_v2("devices") {
        for cgroup in [&own, &none] {
            let deny = cgroup.directory("devices").join("devices.deny");
            std::fs::write(deny, "a").unwrap();
        }
        let allow = own.directory("devices").join("devices.allow");
        // The GPU, and the device that the shell writes to.
        for device in ["c 226:128 rw", "c 1:3 rw"] {
            std::fs::write(&allow, device).unwrap();
        }
        let allow = none.directory("devices").join("devices.allow");
        std::fs::write(&allow, "c 1:3 rw").unwrap();
    }
    // v1 shows the devices itself; this is for v2.
    let config = format!(
        "[view.gpu]\nroot = {:?}\nallow = '{} renderD128'\n",
        root.path(),
        own.path().display()
    );
    let (mounted, _plugins) = mounted(&built("libvistafs_gpu.so"), &config);
    let script = "cd $M/proc/driver/gpus && ls && cat renderD128/information && \
                  ! ls nvidia0 2>/dev/null && ! echo x 2>/dev/null >renderD128/information";
    let shown = TestContainer::new(&mounted, &own).run(script);
    assert_eq!(
        shown,
        "renderD128\nName: renderD128\nNode: /dev/dri/renderD128 (226:128)\nBus: 0000:03:00.0\n\
         Driver: amdgpu\nID: 1002:73BF\n"
    );
    let shown = TestContainer::new(&mounted, &none).run("ls $M/proc/driver/gpus");
    assert_eq!(shown, "");
    let names = std::fs::read_dir(mounted.path("proc/driver/gpus")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert_eq!(names, ["nvidia0", "renderD128"]);
}
