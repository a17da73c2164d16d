//! Attempts of a container to make `vistafs repair` mount elsewhere, hang, or disclose other containers.

use std::process::Command;
use std::time::{Duration, Instant};

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::Mounted;

use crate::repair::{
    Resident, die_and_mount, machine, outcome, repair, repair_all, script, unshared,
};

/// A shell in a private mount namespace, with a small private file system at `$D`.
fn with_own(mounted: &Mounted, before: &str, after: &str) -> (Command, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let before = format!("mount -t tmpfs none \"$D\"; {before}");
    let mut command = unshared(mounted, "-m", &script(&before, after));
    command.env("D", dir.path());
    (command, dir)
}

/// Mounts a file system of the same type, source and options as ours at `$D/own`, opened as `$F`. It answers
/// the first request, and then reads all requests without a reply.
const NEVER_ANSWERS: &str = r#"
    mkdir "$D/own"
    exec 9<>"$F"
    mount -i -t fuse.vistafs -o fd=9,rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other vistafs "$D/own"
    unique=$(dd bs=131072 count=1 <&9 2>/dev/null | od -An -v -tu1 -j8 -N1)
    answer="\120\0\0\0\0\0\0\0\\$(printf %03o $unique)\0\0\0\0\0\0\0"
    answer="$answer\7\0\0\0\37\0\0\0\0\0\2\0\0\0\0\0\14\0\11\0\0\20\0\0\1\0\0\0\0\0\0\0"
    answer="$answer\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    printf "$answer" >&9
    dd bs=131072 <&9 >/dev/null 2>&1 &
    exec 9>&-
"#;

#[test]
fn a_file_system_that_never_answers_holds_up_nobody() {
    require_privileged!();
    let _machine = machine();
    let mut mounted = Mounted::new();
    // Mounted by root of the host: only a request distinguishes it from ours.
    let before = format!("mount --bind \"$M\"/proc/stat /proc/stat; F=/dev/fuse; {NEVER_ANSWERS}");
    let (command, dir) = with_own(&mounted, &before, "kill $!; head -n 1 /proc/stat");
    let resident = Resident::new(command);
    die_and_mount(&mut mounted);
    let started = Instant::now();
    let (rows, status) = repair(&mounted, &[&resident], &[]);
    // It waits 10 s for each such file system; there may be some of other tests.
    assert!(started.elapsed() < Duration::from_secs(120));
    assert_eq!((status, outcome(&rows, "/proc/stat")), (0, "repaired"));
    let own = dir.path().join("own");
    let rows = repair_all(&mounted, &[&resident], &[]);
    assert_eq!(outcome(&rows, own.to_str().unwrap()), "left");
    assert!(resident.go_on().starts_with("cpu "));
}

#[test]
fn root_of_a_user_namespace_is_not_root() {
    require_privileged!();
    let _machine = machine();
    let mut mounted = Mounted::new();
    // As in LXC and rootless containers: root in the container is uid 1000 outside.
    let inner = format!(
        "F=\"$D/fuse\"; {NEVER_ANSWERS}\necho ready; read go; kill $!; head -n 1 /proc/stat"
    );
    let outer = "mount --bind \"$M\"/proc/stat /proc/stat
         mknod \"$D/fuse\" c 10 229; chmod 666 \"$D/fuse\"; chmod 777 \"$D\"
         exec setpriv --reuid 1000 --regid 1000 --clear-groups unshare -Ur -m sh -ec \"$INNER\"";
    let (mut command, dir) = with_own(&mounted, outer, "");
    command.env("INNER", inner);
    let resident = Resident::new(command);
    die_and_mount(&mut mounted);
    let (rows, status) = repair(&mounted, &[&resident], &[]);
    assert_eq!((status, outcome(&rows, "/proc/stat")), (0, "repaired"));
    // It received no request; it would have printed one.
    let own = dir.path().join("own");
    let rows = repair_all(&mounted, &[&resident], &[]);
    assert!(
        !rows.iter().any(|row| row["path"] == own.to_str().unwrap()),
        "{rows:?}"
    );
    // It does look like ours.
    let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", resident.pid())).unwrap();
    let line = mounts
        .lines()
        .find(|line| line.contains(own.to_str().unwrap()))
        .unwrap();
    let looks = "- fuse.vistafs vistafs rw,user_id=0,group_id=0,default_permissions,allow_other";
    assert!(line.ends_with(looks), "{line}");
    assert!(resident.go_on().starts_with("cpu "));
}

/// A container whose user namespace maps root to the host's root could mount a file system of that name.
#[test]
fn what_names_a_container_is_for_the_host() {
    require_privileged!();
    let _machine = machine();
    let mut mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    let address = mounted.path(&cgroup.address("proc/stat"));
    let script = "mount --bind \"$A\" /proc/stat; mount --bind \"$M\"/proc/uptime /proc/uptime
         exec unshare -Ur -m sh -ec 'echo ready; read go; cat /proc/stat || cat /proc/uptime'";
    let mut command = unshared(&mounted, "-m", script);
    command
        .env("A", address)
        .stderr(std::process::Stdio::null());
    let resident = Resident::new(command);
    die_and_mount(&mut mounted);
    let (rows, status) = repair(&mounted, &[&resident], &[]);
    assert_eq!(status, 3);
    assert_eq!(outcome(&rows, "/proc/stat"), "left");
    assert_eq!(outcome(&rows, "/proc/uptime"), "repaired");
    let text = resident.go_on();
    assert_eq!(text.split_whitespace().count(), 2, "{text}");
}

#[test]
fn mount_points_with_odd_names() {
    require_privileged!();
    let _machine = machine();
    let mut mounted = Mounted::new();
    let before = r#"
        cd "$D"
        mkdir -- 'a b' 'new
line' '#' 'back\040slash' "$(printf 'tab\tescape\033[2J')" "$(printf '\377')" '-x' 'x (deleted)' ' '
        for dir in */; do
            touch "./$dir/f g"
            mount --bind "$M/proc/stat" "$D/$dir/f g"
        done"#;
    let after = "cd \"$D\"; for dir in */; do head -n 1 \"./$dir/f g\"; done | grep -c '^cpu '";
    let (command, _dir) = with_own(&mounted, before, after);
    let resident = Resident::new(command);
    die_and_mount(&mut mounted);
    let (rows, status) = repair(&mounted, &[&resident], &[]);
    let repaired = rows
        .iter()
        .filter(|row| row["shows"] == "proc/stat")
        .count();
    assert_eq!((status, repaired), (0, 9), "{rows:?}");
    let is_plain = |text: &str| !text.contains(|c: char| c.is_control());
    assert!(
        rows.iter()
            .all(|row| is_plain(row["path"].as_str().unwrap())),
        "{rows:?}"
    );
    assert_eq!(resident.go_on(), "9\n");
}

#[test]
fn what_is_under_another_mount_stays_there() {
    require_privileged!();
    let _machine = machine();
    let mut mounted = Mounted::new();
    let before = "mkdir \"$D/a\"; touch \"$D/a/f\"; mount --bind \"$M/proc/stat\" \"$D/a/f\"
         mount -t tmpfs over \"$D/a\"; echo theirs >\"$D/a/f\"";
    let after = "cat \"$D/a/f\"; umount \"$D/a\"; cat \"$D/a/f\" 2>/dev/null || echo dead";
    let (command, dir) = with_own(&mounted, before, after);
    let resident = Resident::new(command);
    die_and_mount(&mut mounted);
    let (rows, status) = repair(&mounted, &[&resident], &[]);
    let hidden = dir.path().join("a/f");
    assert_eq!(status, 0, "{rows:?}");
    assert!(
        !rows
            .iter()
            .any(|row| row["path"] == hidden.to_str().unwrap()),
        "{rows:?}"
    );
    assert_eq!(resident.go_on(), "theirs\ndead\n");
}

/// The container keeps renaming the directories above its mount point, and replaces them with links.
#[test]
fn renames_and_links_lead_nowhere_else() {
    require_privileged!();
    let _machine = machine();
    let mut mounted = Mounted::new();
    let before = r#"
        mkdir "$D/a" "$D/trap"; touch "$D/a/f" "$D/trap/f"
        mount --bind "$M/proc/stat" "$D/a/f"
        while [ ! -e "$D/end" ]; do
            mv "$D/a" "$D/b"; ln -s trap "$D/a"; rm "$D/a"
            ln -s /etc "$D/a"; rm "$D/a"; mv "$D/b" "$D/a"
        done &"#;
    let after = "touch \"$D/end\"; wait $!; grep -c -e trap -e ' /etc/' /proc/self/mountinfo || :
         head -n 1 \"$D/a/f\"";
    let (command, dir) = with_own(&mounted, before, after);
    let resident = Resident::new(command);
    die_and_mount(&mut mounted);
    let started = Instant::now();
    let mut runs = 0;
    loop {
        let (rows, status) = repair(&mounted, &[&resident], &[]);
        runs += 1;
        let own = dir.path().to_str().unwrap();
        let is_done = rows.iter().any(|row| {
            row["outcome"] == "repaired" && row["path"].as_str().unwrap().starts_with(own)
        });
        if is_done {
            break;
        }
        // Reported as left, or as not found at that instant: never as repaired.
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{runs} runs: {rows:?} {status}"
        );
    }
    let text = resident.go_on();
    let (elsewhere, shown) = text.split_once('\n').unwrap();
    assert_eq!(elsewhere, "0");
    assert!(shown.starts_with("cpu "), "{shown}");
}

#[test]
fn thousands_of_mounts_are_done_in_parts() {
    require_privileged!();
    let _machine = machine();
    let mut mounted = Mounted::new();
    // Each round doubles the mounts below $D.
    let before = r#"
        cd "$D"; touch f; mkdir 0 1 2 3 4 5 6 7 8 9
        mount --bind "$M/proc/stat" f
        for i in 0 1 2 3 4 5 6 7 8 9; do mount --rbind "$D" "$D/$i"; done
        cd /"#;
    let after =
        "grep -c ' - fuse.vistafs ' /proc/self/mountinfo; head -n 1 \"$D/9/8/7/6/5/4/3/2/1/0/f\"";
    let (command, _dir) = with_own(&mounted, before, after);
    let resident = Resident::new(command);
    die_and_mount(&mut mounted);
    let mut repaired = 0;
    for run in 0.. {
        let (rows, status) = repair(&mounted, &[&resident], &[]);
        assert!(rows.len() <= 257, "{}", rows.len());
        repaired += rows.iter().filter(|r| r["outcome"] == "repaired").count();
        if status == 0 {
            break;
        }
        let more = "there are more than 256 (run it again)";
        assert!(rows.iter().any(|row| row["why"] == more), "{rows:?}");
        assert!(run < 10, "{rows:?}");
    }
    // Perhaps also the copy of the mount itself.
    assert!((1024..=1025).contains(&repaired), "{repaired}");
    let text = resident.go_on();
    assert!(
        text.lines().next().unwrap().parse::<u32>().unwrap() >= 2048,
        "{text}"
    );
    assert!(text.lines().nth(1).unwrap().starts_with("cpu "), "{text}");
}

/// A mount over its repaired view is not visible in other containers.
#[test]
fn nothing_comes_back_from_a_copy() {
    require_privileged!();
    let _machine = machine();
    let mut mounted = Mounted::new();
    let before = "mount --bind \"$M/proc/stat\" /proc/stat";
    let after = "mount --bind \"$D\"/f /proc/stat; cat /proc/stat; read go";
    let before = format!("echo theirs >\"$D/f\"; {before}");
    let (command, _dir) = with_own(&mounted, &before, after);
    let resident = Resident::new(command);
    die_and_mount(&mut mounted);
    let shared = Command::new("mount")
        .arg("--make-shared")
        .arg(mounted.root())
        .status();
    assert!(shared.unwrap().success());
    let (rows, status) = repair(&mounted, &[&resident], &[]);
    assert_eq!((status, outcome(&rows, "/proc/stat")), (0, "repaired"));
    let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", resident.pid())).unwrap();
    let mut copies = mounts.lines().filter(|line| line.contains(" /proc/stat "));
    assert!(
        copies
            .next_back()
            .is_some_and(|line| !line.contains("shared:")),
        "{mounts}"
    );
    let resident = resident.go_on_until("theirs\n");
    assert!(mounted.read("proc/stat").starts_with("cpu "));
    drop(resident);
}
