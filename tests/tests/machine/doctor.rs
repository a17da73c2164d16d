//! `vistafs doctor` on the machine at hand.

use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{Mounted, printed, vistafs};

#[test]
fn a_host_that_serves_is_told_so() {
    require_privileged!();
    let mounted = Mounted::new();
    let text = printed(&vistafs(&["doctor"]));
    for (about, found) in [("user", "root"), ("fuse", "/dev/fuse can be opened")] {
        let line = text.lines().find(|line| line.contains(found));
        let line = line.unwrap_or_else(|| panic!("{found}: {text}"));
        assert!(line.starts_with("ok") && line.contains(about), "{text}");
    }
    let here = format!("vistafs at {}", mounted.root().display());
    assert!(text.contains(&here), "{text}");

    let json = printed(&vistafs(&["doctor", "--json"]));
    let findings: serde_json::Value = serde_json::from_str(&json).unwrap();
    let findings = findings.as_array().unwrap();
    assert!(
        findings.iter().all(|one| one["state"] != "broken"),
        "{json}"
    );
    let layout = findings.iter().find(|one| one["about"] == "cgroups");
    let layout = layout.unwrap()["found"].as_str().unwrap();
    assert!(layout.starts_with('v'), "{layout}");
}
