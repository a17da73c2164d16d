//! File sizes: tools that trust `st_size` do with a view what they do with the kernel's own procfs.

use std::process::Command;

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::TestContainer;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{Mounted, printed};

/// What programs that look at the size first make of a file; `$F` is the file. Each prints something that
/// is alike for all files of procfs.
const TOOLS: &[(&str, &str)] = &[
    ("stat", "stat -c %s $F"),
    // The last line of cpuinfo is empty.
    ("tail", "[ -n \"$(tail -n 2 $F)\" ] && echo the last line"),
    (
        "wc",
        "[ $(wc -c <$F) -gt 0 ] && [ $(wc -c $F | cut -d' ' -f1) = $(cat $F | wc -c) ] && echo all of it",
    ),
    (
        "tar",
        "tar -C / -cf $T/x.tar ${F#/} 2>&1 && echo archived; tar -tvf $T/x.tar | awk '{ print $3 }'",
    ),
    ("cp", "cp $F $T/copy && [ -s $T/copy ] && echo copied"),
    (
        "dd",
        "[ $(dd if=$F bs=64k 2>/dev/null | wc -c) -gt 0 ] && echo copied",
    ),
    ("grep", "grep -c '' $F >/dev/null && echo read"),
    (
        "mmap",
        "python3 -c 'import mmap, sys; f = open(sys.argv[1]); mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)' $F 2>&1 | tail -n 1",
    ),
];

/// Files whose text has the same length whenever it is read at once again, mostly.
const FILES: &[&str] = &[
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/slabinfo",
    "/proc/swaps",
];

fn script(files: &[&str]) -> String {
    let mut script = "T=$(mktemp -d); ".to_owned();
    for file in files {
        for (_, tool) in TOOLS {
            script += &format!("F={file}; {{ {tool}; }} </dev/null; ");
        }
    }
    script + "rm -r $T"
}

/// In a container as on a host whose procfs is the kernel's.
#[test]
fn tools_do_with_a_view_what_they_do_with_procfs() {
    require_privileged!();
    let mounted = Mounted::new();
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(256 << 20);
    // A file without any line is read as well, but gives nothing.
    let files: Vec<&str> = FILES
        .iter()
        .filter(|file| std::fs::read(file).is_ok_and(|text| text.len() > 10))
        .copied()
        .filter(|file| !["/proc/diskstats"].contains(file))
        .collect();
    for file in files {
        let on_host = Command::new("sh")
            .args(["-c", &script(&[file])])
            .output()
            .unwrap();
        let expected = printed(&on_host);
        let shown = TestContainer::new(&mounted, &cgroup).run(&script(&[file]));
        assert_eq!(shown, expected, "{file}");
        assert!(
            expected.starts_with("0\nthe last line\nall of it\narchived\n"),
            "{expected}"
        );
    }
}

/// Every file below proc, built in or from the configuration, with its own number or below `at/`.
#[test]
fn what_is_below_proc_has_no_size() {
    require_privileged!();
    let config = "[[file]]\npath = \"proc/site/limits\"\ntext = \"some text\\n\"\n\
                  [[file]]\npath = \"sys/site/limits\"\ntext = \"some text\\n\"\n";
    let mounted = Mounted::with(&vistafs_tests::vistafs::MountOptions {
        config: config.into(),
        ..Default::default()
    });
    let cgroup = TestCgroup::new();
    let mut seen = 0;
    for top in ["proc".to_owned(), cgroup.address("proc")] {
        let mut directories = vec![mounted.path(&top)];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(&directory).unwrap() {
                let path = entry.unwrap().path();
                let metadata = std::fs::symlink_metadata(&path).unwrap();
                if metadata.is_dir() {
                    directories.push(path);
                    continue;
                }
                assert_eq!(metadata.len(), 0, "{}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen}");
    let of_sysfs = std::fs::metadata(mounted.path("sys/devices/system/cpu/online")).unwrap();
    assert_eq!(of_sysfs.len(), 4096);
}
