//! The packages of Debian, RPM and Alpine install the same files, and their services agree.

use std::collections::BTreeSet;
use std::process::Command;

use crate::captured::workspace;

fn text(path: &str) -> String {
    std::fs::read_to_string(workspace().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

const PACKAGES: &[&str] = &[
    "vistafs",
    "vistafs-dev",
    "vistafs-lxcfs",
    "vistafs-plugin-examples",
];

/// The paths that contrib/debian installs.
fn of_debian() -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for package in PACKAGES {
        for line in text(&format!("contrib/debian/{package}.install")).lines() {
            let (from, to) = line.split_once(' ').unwrap();
            files.insert(format!("/{to}/{}", from.rsplit('/').next().unwrap()));
        }
    }
    let links = text("contrib/debian/vistafs-lxcfs.links");
    files.insert(format!("/{}", links.trim().split_once(' ').unwrap().1));
    let man = text("contrib/debian/vistafs-lxcfs.manpages");
    files.insert(format!(
        "/usr/share/man/man1/{}",
        man.trim().rsplit('/').next().unwrap()
    ));
    // `cargo xtask deb` passes these to debhelper under the names that it expects.
    for (from, to) in [
        (
            "contrib/systemd/vistafs.service",
            "/usr/lib/systemd/system/vistafs.service",
        ),
        (
            "contrib/systemd/lxcfs.service",
            "/usr/lib/systemd/system/lxcfs.service",
        ),
        (
            "contrib/tmpfiles/vistafs.conf",
            "/usr/lib/tmpfiles.d/vistafs.conf",
        ),
    ] {
        assert!(text("contrib/xtask/src/deb.rs").contains(from.trim_start_matches("contrib/")));
        assert!(workspace().join(from).exists(), "{from}");
        files.insert(to.to_owned());
    }
    files
}

/// RPM's directory macros, as in every distribution.
const MACROS: &[(&str, &str)] = &[
    ("%{_bindir}", "/usr/bin"),
    ("%{_datadir}", "/usr/share"),
    ("%{_includedir}", "/usr/include"),
    ("%{_mandir}", "/usr/share/man"),
    ("%{_prefix}", "/usr"),
    ("%{_sysconfdir}", "/etc"),
    ("%{_tmpfilesdir}", "/usr/lib/tmpfiles.d"),
    ("%{_unitdir}", "/usr/lib/systemd/system"),
];

#[test]
fn rpm_packages_have_what_debian_s_have() {
    let spec = text("contrib/rpm/vistafs.spec");
    let mut spec_text = spec.clone();
    for (name, path) in MACROS {
        spec_text = spec_text.replace(name, path);
    }
    let lists = spec_text.split("\n%files").skip(1);
    let listed = lists.flat_map(|list| {
        let list = list.split("\n\n").next().unwrap().lines().skip(1);
        list.filter(|line| {
            !["%doc", "%license", "%dir"]
                .iter()
                .any(|tag| line.starts_with(tag))
        })
        .map(|line| line.trim_start_matches("%config(noreplace) "))
        .map(|line| line.trim_end_matches('*').to_owned())
        .collect::<Vec<_>>()
    });
    assert_eq!(listed.collect::<BTreeSet<_>>(), of_debian());
    // Every listed file is also installed.
    for (line, from) in spec
        .lines()
        .filter(|line| line.starts_with("install -D "))
        .map(|line| (line, line.split(' ').nth(4).unwrap()))
    {
        assert!(
            from.starts_with("target/") || workspace().join(from).exists(),
            "{line}"
        );
    }
}

#[test]
fn alpine_s_packages_have_them_but_for_systemd() {
    let build = text("contrib/alpine/APKBUILD").replace("\\\n\t\t", "");
    let is_path =
        |word: &&str| word.starts_with("\"$pkgdir\"") || word.starts_with("\"$subpkgdir\"");
    let installed = build
        .lines()
        .filter(|line| line.contains("install -D") || line.contains("ln -s"))
        .map(|line| line.split(' ').rfind(is_path).unwrap())
        .map(|word| word.rsplit('"').next().unwrap().to_owned());
    let mut expected = of_debian();
    // Alpine has no systemd, and so no systemd-nspawn.
    let of_systemd = ["/systemd/", "tmpfiles", "nspawn", "vistafs-views"];
    expected.retain(|path| !of_systemd.iter().any(|part| path.contains(part)));
    expected.insert("/etc/init.d/vistafs".into());
    assert_eq!(installed.collect::<BTreeSet<_>>(), expected);
}

#[test]
fn shells_understand_what_they_are_given() {
    for script in [
        "contrib/alpine/APKBUILD",
        "contrib/openrc/vistafs",
        "contrib/lxcfs/lxc.mount.hook",
        "contrib/debian/vistafs.postinst",
        "contrib/debian/vistafs.postrm",
        "contrib/debian/vistafs-lxcfs.postrm",
    ] {
        let path = workspace().join(script);
        let output = Command::new("sh").arg("-n").arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {said}");
    }
}

#[test]
fn all_packages_are_of_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    for (file, line) in [
        (
            "contrib/debian/changelog",
            format!("vistafs ({version}-1) "),
        ),
        (
            "contrib/rpm/vistafs.spec",
            format!("Version:        {version}\n"),
        ),
        ("contrib/alpine/APKBUILD", format!("pkgver={version}\n")),
    ] {
        assert!(text(file).contains(&line), "{file} is not of {version}");
    }
}

/// Returns the value of a key in a unit.
fn of_unit(unit: &str, key: &str) -> String {
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .unwrap();
    line.trim_start_matches('=').to_owned()
}

#[test]
fn limits_are_the_same_whatever_starts_the_service() {
    let unit = text("contrib/systemd/vistafs.service");
    let files = of_unit(&unit, "LimitNOFILE");
    let memory = of_unit(&unit, "MemoryMax");
    let gib: u64 = memory.strip_suffix('G').unwrap().parse().unwrap();
    let (bytes, adjust) = (gib << 30, of_unit(&unit, "OOMScoreAdjust"));
    let service = text("contrib/openrc/vistafs");
    for line in [
        format!("rc_ulimit:=-n {files}}}"),
        format!("rc_cgroup_settings:=memory.max {bytes}}}"),
        format!("rc_cgroup_memory:=memory.limit_in_bytes {bytes}}}"),
        format!("oom_adjust:={adjust}}}"),
    ] {
        assert!(service.contains(&line), "contrib/openrc/vistafs: {line}");
    }
    let pod = text("contrib/kubernetes/vistafs.yaml");
    let (_, limits) = pod.split_once("            limits:\n").unwrap();
    assert_eq!(
        limits.lines().next().unwrap().trim(),
        format!("memory: {gib}Gi")
    );
}

#[test]
fn both_units_are_hardened_alike() {
    let body = |path: &str| {
        let unit = text(path);
        let (_, body) = unit.split_once("[Service]").unwrap();
        body.replace("/var/lib/lxcfs", "/var/lib/vistafs")
            .replace("/usr/bin/lxcfs --stored", "/usr/bin/vistafs mount --stored")
    };
    let ours = body("contrib/systemd/vistafs.service");
    assert_eq!(body("contrib/systemd/lxcfs.service"), ours);
    // A private mount namespace of the service would hide the mount from all other processes.
    for line in ours.lines().filter(|line| !line.starts_with('#')) {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let is_off = ["", "no", "false"].contains(&value);
        let of_its_own = [
            "Bind",
            "Dynamic",
            "Inaccessible",
            "LogNamespace",
            "Mount",
            "NoExec",
            "Private",
            "Proc",
            "Protect",
            "ReadOnly",
            "ReadWrite",
            "Root",
            "StateDirectory",
            "Temporary",
        ];
        let has_mounts = of_its_own.iter().any(|start| key.starts_with(start));
        assert!(is_off || !has_mounts, "{line}");
    }
}
