//! The static binary serves, and runs where there is only a busybox.

use std::path::{Path, PathBuf};

use vistafs_tests::bundle::Bundle;
use vistafs_tests::container::field;
use vistafs_tests::require::program;
use vistafs_tests::vistafs::{MountOptions, Mounted, printed};
use vistafs_tests::{require, require_privileged};

#[test]
fn it_serves_a_container_that_has_a_busybox_alone() {
    require_privileged!();
    let built = std::env::var_os("VISTAFS_STATIC").map(PathBuf::from);
    require!(
        built.is_some() && program("runc") && Path::new("/bin/busybox").exists(),
        "needs a static program, runc and a static busybox (cargo xtask test has them)"
    );
    let vistafs = built.unwrap();
    let mounted = Mounted::with(&MountOptions {
        binary: Some(vistafs.clone()),
        ..MountOptions::default()
    });
    let mut bundle = Bundle::new(
        "head -n 1 /proc/meminfo; wc -l < /proc/uptime; /bin/vistafs --version; \
         /bin/vistafs views | head -n 2; ls /usr /lib 2>&1 || :",
    );
    // It contains neither a C library nor a loader.
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| mount["destination"] != "/usr");
    bundle.config["process"]["args"][0] = "/bin/sh".into();
    bundle.config["process"]["env"][0] = "PATH=/bin".into();
    bundle.only(&[
        ("busybox", Path::new("/bin/busybox")),
        ("vistafs", &vistafs),
    ]);
    for view in ["proc/meminfo", "proc/uptime"] {
        bundle.bind(&mounted.path(view), &format!("/{view}"), "ro");
    }
    let text = printed(&bundle.run("runc"));
    assert_eq!(field(&text, "MemTotal:"), 128 << 10, "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[1].trim(), "1");
    assert!(lines[2].starts_with("vistafs "), "{text}");
    assert!(lines[3].starts_with("PATH "), "{text}");
    assert!(text.contains("No such file"), "{text}");
}
