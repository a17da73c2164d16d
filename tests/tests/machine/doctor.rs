//! `vistafs doctor` on the current machine.

use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{Mounted, printed, vistafs};

fn examined(args: &[&str]) -> String {
    String::from_utf8(vistafs(args).stdout).unwrap()
}

#[test]
fn a_host_that_serves_is_told_so() {
    require_privileged!();
    let mounted = Mounted::new();
    let text = examined(&["doctor"]);
    for (about, found) in [("user", "root"), ("fuse", "/dev/fuse can be opened")] {
        let line = text.lines().find(|line| line.contains(found));
        let line = line.unwrap_or_else(|| panic!("{found}: {text}"));
        assert!(line.starts_with("ok") && line.contains(about), "{text}");
    }
    let here = format!("vistafs at {}", mounted.root().display());
    assert!(text.contains(&here), "{text}");

    let json = examined(&["doctor", "--json"]);
    let findings: serde_json::Value = serde_json::from_str(&json).unwrap();
    let findings = findings.as_array().unwrap();
    assert!(
        // Mounts of other tests are dead on purpose.
        findings
            .iter()
            .all(|one| one["state"] != "broken" || one["about"] == "mount"),
        "{json}"
    );
    let layout = findings.iter().find(|one| one["about"] == "cgroups");
    let layout = layout.unwrap()["found"].as_str().unwrap();
    assert!(layout.starts_with('v'), "{layout}");
}

#[test]
fn a_dead_mount_is_found() {
    require_privileged!();
    let mut mounted = Mounted::new();
    mounted.die();
    let output = vistafs(&["doctor"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let root = mounted.root();
    let root = root.to_str().unwrap();
    let _ = printed(&vistafs(&["unmount", root]));
    assert_eq!(output.status.code(), Some(1), "{text}");
    let found = format!("vistafs at {root} is dead");
    let mut lines = text.lines().skip_while(|line| !line.contains(&found));
    assert!(
        lines.next().is_some_and(|line| line.starts_with("BROKEN")),
        "{text}"
    );
    assert!(
        lines
            .next()
            .unwrap()
            .contains(&format!("-> vistafs mount {root}")),
        "{text}"
    );
}
