//! `metrics` and `vistafs status`: the values, and their visibility.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::TestContainer;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{Mounted, printed, vistafs, wait_until};

fn value(text: &str, sample: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(sample));
    let line = line.unwrap_or_else(|| panic!("no {sample} in\n{text}"));
    line.trim().parse().unwrap()
}

fn requests(text: &str, view: &str, operation: &str) -> u64 {
    let labels = format!("{{view=\"{view}\",operation=\"{operation}\"}}");
    value(text, &format!("vistafs_requests_total{labels}"))
}

/// Parses strictly by the format's specification: each name is announced once, before its samples and with
/// its type; samples are unique, and buckets add up.
#[track_caller]
fn check_exposition(text: &str) {
    let is_name = |name: &str| {
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !name.is_empty() && name.chars().all(inside) && !name.starts_with(|c: char| c.is_numeric())
    };
    assert!(text.ends_with('\n'));
    let (mut announced, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let (mut name, mut kind) = ("", "");
    let mut last_bucket = (String::new(), 0);
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            name = help.split_once(' ').unwrap().0;
            assert!(is_name(name) && announced.insert(name), "{line}");
            kind = "";
        } else if let Some(of_type) = line.strip_prefix("# TYPE ") {
            let (of, what) = of_type.split_once(' ').unwrap();
            assert_eq!(of, name, "{line}");
            assert!(["counter", "gauge", "histogram"].contains(&what), "{line}");
            kind = what;
        } else {
            let (sample, number) = line.rsplit_once(' ').unwrap();
            number.parse::<f64>().unwrap();
            assert!(seen.insert(sample), "twice: {line}");
            let (own, labels) = sample.split_once('{').unwrap_or((sample, "}"));
            let suffix = own
                .strip_prefix(name)
                .unwrap_or_else(|| panic!("not of {name}: {line}"));
            let suffixes: &[&str] = match kind {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            assert!(suffixes.contains(&suffix), "{line}");
            assert_eq!(kind == "counter", own.ends_with("_total"), "{line}");
            let labels = labels.strip_suffix('}').unwrap();
            let pairs: Vec<_> = labels.split(',').filter(|pair| !pair.is_empty()).collect();
            for pair in &pairs {
                let (label, value) = pair.split_once('=').unwrap();
                assert!(is_name(label) && value.len() >= 2, "{line}");
                assert!(value.starts_with('"') && value.ends_with('"'), "{line}");
            }
            if suffix == "_bucket" {
                let of = pairs[..pairs.len() - 1].join(",");
                let count: u64 = number.parse().unwrap();
                assert!(last_bucket.0 != of || last_bucket.1 <= count, "{line}");
                last_bucket = (of, count);
            } else if suffix == "_count" {
                assert_eq!(number.parse(), Ok(last_bucket.1), "{line}");
            }
        }
    }
    assert!(!seen.is_empty());
}

/// The METRICS page lists exactly the existing metrics.
#[track_caller]
fn check_page(text: &str) {
    let page = include_str!("../../../contrib/doc/METRICS.md");
    let row = |line: &'static str| line.strip_prefix("| `")?.split_once('`').map(|row| row.0);
    let documented: BTreeSet<&str> = page.lines().filter_map(row).collect();
    let help = |line| str::strip_prefix(line, "# HELP ")?.split_once(' ');
    let told: BTreeSet<&str> = text.lines().filter_map(help).map(|help| help.0).collect();
    assert_eq!(told, documented);
}

#[test]
fn what_is_read_is_counted() {
    require_privileged!();
    let mounted = Mounted::new();
    let mut before = String::new();
    wait_until("vistafs hold has the file open", || {
        before = mounted.read("metrics");
        requests(&before, "proc/uptime", "open") == 1
    });
    check_exposition(&before);
    check_page(&before);
    for _ in 0..7 {
        let file = std::fs::File::open(mounted.path("proc/uptime")).unwrap();
        let mut bytes = [0; 200];
        assert!(rustix::io::pread(&file, &mut bytes, 0).unwrap() > 0);
        assert!(rustix::io::pread(&file, &mut bytes, 0).unwrap() > 0);
    }
    let after = mounted.read("metrics");
    check_exposition(&after);
    assert_eq!(requests(&after, "proc/uptime", "open"), 1 + 7);
    assert_eq!(requests(&after, "proc/uptime", "read"), 14);
    assert_eq!(requests(&after, "proc/stat", "read"), 0);
    let labels = "{view=\"proc/uptime\",operation=\"read\"}";
    assert_eq!(
        value(&after, &format!("vistafs_request_seconds_count{labels}")),
        14
    );
    assert_eq!(
        value(&after, &format!("vistafs_request_errors_total{labels}")),
        0
    );
    assert_eq!(
        value(&after, "vistafs_worker_pid"),
        u64::from(mounted.pid())
    );
    // Reading the metrics is not counted.
    assert!(!after.contains("view=\"metrics\""), "{after}");
}

#[test]
fn containers_are_counted_and_do_not_see_it() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let known = |text: &str| value(text, "vistafs_containers");
    assert_eq!(known(&mounted.read("metrics")), 0);
    // The kernel now caches the name; other callers must still not see it.
    let script = "cat /proc/uptime >/dev/null; ls $M; cat $M/metrics 2>&1
         echo; stat $M/metrics 2>&1; (: >$M/metrics); echo go; read go";
    let container = TestContainer::new(&mounted, &cgroup);
    let mut child = container.spawn(script);
    let mut lines = Vec::new();
    let out = child.stdout.take().unwrap();
    for line in std::io::BufRead::lines(std::io::BufReader::new(out)) {
        let line = line.unwrap();
        if line == "go" {
            break;
        }
        lines.push(line);
    }
    assert_eq!(known(&mounted.read("metrics")), 1);
    drop(child.stdin.take());
    let _ = child.wait();
    let missing = lines
        .iter()
        .filter(|line| line.contains("Cannot allocate memory"))
        .count();
    assert_eq!(missing, 2, "{lines:?}");
    assert!(
        !lines
            .iter()
            .any(|line| line == "metrics" || line.contains("vistafs_")),
        "{lines:?}"
    );
}

/// The value of a tenant's metric; the tenant's cgroup is this one or a descendant.
#[track_caller]
fn of_tenant(text: &str, what: &str, cgroup: &str) -> f64 {
    let (name, cgroup) = (
        format!("vistafs_tenant_{what}{{"),
        format!("cgroup=\"{cgroup}"),
    );
    let is_it = |line: &&str| line.starts_with(&name) && line.contains(&cgroup);
    let lines: Vec<_> = text.lines().filter(is_it).collect();
    assert_eq!(lines.len(), 1, "{what} of {cgroup} in\n{text}");
    lines[0].rsplit_once(' ').unwrap().1.parse().unwrap()
}

fn cgroup_in_host(pid: u32) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    // The longest path: some hierarchies may lack a cgroup for it.
    let paths = text.lines().map(|line| line.splitn(3, ':').nth(2).unwrap());
    paths.max_by_key(|path| path.len()).unwrap().to_owned()
}

#[test]
fn the_container_that_pounds_is_told_from_the_one_that_does_not() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroups = [TestCgroup::new(), TestCgroup::new()];
    // Keeps a partially read file open.
    let idle = "exec 3</proc/meminfo; read -r line <&3; echo ready; read end";
    let busy = "cat /proc/uptime >/dev/null; echo ready; \
                while :; do for n in 1 2 3 4 5; do read -r line; done </proc/stat; done";
    let mut children = [(0, idle), (1, busy)].map(|(number, script)| {
        let cgroup: &TestCgroup = &cgroups[number];
        let mut child = TestContainer::new(&mounted, cgroup).spawn(script);
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        assert_eq!(line.trim(), "ready");
        child
    });
    let [idle, busy] = [0, 1].map(|number: usize| cgroup_in_host(children[number].id()));
    let served = |text: &str, cgroup: &str| of_tenant(text, "served_seconds_total", cgroup);
    let mut text = String::new();
    wait_until("the one that pounds has taken ten times as long", || {
        text = mounted.read("metrics");
        served(&text, &busy) > 10.0 * served(&text, &idle)
    });
    check_exposition(&text);
    assert!(of_tenant(&text, "held_bytes", &idle) > 0.0, "{text}");
    assert!(of_tenant(&text, "open_files", &idle) >= 1.0, "{text}");
    assert!(
        of_tenant(&text, "namespace_descriptors", &idle) >= 3.0,
        "{text}"
    );
    let root = mounted.root();
    let args = ["status", "--mount", root.to_str().unwrap()];
    let text = printed(&vistafs(&args));
    assert!(text.contains(&busy) && text.contains(&idle), "{text}");
    let json = printed(&vistafs(&[&args[..], &["--json"]].concat()));
    let status: Value = serde_json::from_str(&json).unwrap();
    let tenants = status["tenants"].as_array().unwrap();
    let rank = |cgroup: &str| {
        let is_it = |tenant: &Value| tenant["cgroup"].as_str().unwrap().starts_with(cgroup);
        tenants.iter().position(is_it)
    };
    // The host reads the metrics, so it may rank before both.
    assert!(rank(&busy).unwrap() < rank(&idle).unwrap(), "{json}");
    for child in &mut children {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A container chooses the names and the number of its cgroups.
#[test]
fn a_container_forges_no_metric_and_takes_one_place() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    // The kernel refuses a line feed in a name.
    let name = "x\"} 7\rvistafs_forged 1 \\";
    let mut sub = cgroup.child(name);
    for number in 0..20 {
        let inner = cgroup.child(format!("{name}{number}"));
        let _ = TestContainer::new(&mounted, &inner).run("cat /proc/uptime");
        sub = inner;
        check_exposition(&mounted.read("metrics"));
    }
    let text = mounted.read("metrics");
    assert!(
        !text
            .split(['\n', '\r'])
            .any(|line| line.starts_with("vistafs_forged")),
        "{text}"
    );
    let tenants = text
        .lines()
        .filter(|line| line.starts_with("vistafs_tenant_held_bytes{"));
    assert!(tenants.count() <= 10, "{text}");
    drop(sub);
}

#[test]
fn users_do_not_see_it() {
    require_privileged!();
    let mounted = Mounted::new();
    assert!(mounted.path("metrics").exists());
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .args(["sh", "-c", "ls \"$M\"; cat \"$M/metrics\" 2>&1"])
        .env("M", mounted.root())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Cannot allocate memory"), "{text}");
    assert!(!text.lines().any(|line| line == "metrics"), "{text}");
    // This cgroup contains no container.
    let cgroup = TestCgroup::new();
    assert!(!mounted.path(&cgroup.address("metrics")).exists());
    let mode = std::fs::metadata(mounted.path("metrics")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&mode) & 0o7777, 0o400);
}

#[test]
fn status_for_people_and_machines() {
    require_privileged!();
    let mounted = Mounted::new();
    let _ = mounted.read("proc/meminfo");
    let root = mounted.root();
    let args = ["status", "--mount", root.to_str().unwrap()];
    let text = printed(&vistafs(&args));
    assert!(
        text.contains(&format!("process {}, up ", mounted.pid())),
        "{text}"
    );
    assert!(
        text.lines().any(|line| line.starts_with("proc/meminfo")),
        "{text}"
    );
    let text = printed(&vistafs(&[&args[..], &["--json"]].concat()));
    let status: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status["worker"]["pid"], mounted.pid());
    let views = status["views"].as_array().unwrap();
    let read = views
        .iter()
        .find(|v| v["view"] == "proc/meminfo" && v["operation"] == "read");
    let read = read.unwrap();
    assert!(
        read["requests"].as_u64().unwrap() >= 1 && read["errors"] == 0,
        "{read}"
    );
    // The last bucket has no upper bound.
    let at = |percentile: &str| read[percentile].as_f64().unwrap_or(f64::INFINITY);
    assert!(at("p99") >= at("p50"), "{read}");

    let output = vistafs(&["status", "--mount", "/no/such/dir"]);
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        line.contains("cannot read /no/such/dir/metrics (is vistafs mounted there?"),
        "{line}"
    );
}
