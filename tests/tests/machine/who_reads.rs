//! Where programs read the number of CPUs and the size of memory: checks the table "Who reads what" in
//! SEMANTICS.md row by row, for the installed programs.

use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::TestContainer;
use vistafs_tests::require::program;
use vistafs_tests::vistafs::{MountOptions, Mounted};
use vistafs_tests::{require, require_privileged};

/// The source of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// A view's container value: `online`, `stat`, `cpuinfo`, `meminfo`.
    File,
    /// `possible`, which is the kernel's.
    Possible,
    /// The files of the container's cgroup.
    Cgroup,
    /// A system call, sched_getaffinity(2) or sysinfo(2).
    Kernel,
}

/// The container's own cgroups, where its runtime mounts them.
const CGROUPS: &str = "if [ -e /sys/fs/cgroup/cgroup.procs ]; then umount -R /sys/fs/cgroup; \
     mount -t cgroup2 none /sys/fs/cgroup || exit 96; else umount -R /sys/fs/cgroup; \
     mount -t tmpfs none /sys/fs/cgroup; \
     for c in $(cut -d: -f2 /proc/self/cgroup | grep -E '^(cpu|cpuacct|cpuset|memory)(,|$)'); do \
     mkdir /sys/fs/cgroup/$c; mount -t cgroup -o $c none /sys/fs/cgroup/$c || exit 95; done; fi; ";

fn mounted(config: &str) -> Mounted {
    Mounted::with(&MountOptions {
        config: config.into(),
        ..MountOptions::default()
    })
}

/// The last number that a script prints.
#[track_caller]
fn number(container: &TestContainer<'_>, script: &str) -> u64 {
    let text = container.run(script);
    let last = text.split_whitespace().last();
    last.and_then(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("{script}: {text:?}"))
}

/// Less memory than any test machine has, bytes.
const LIMIT: u64 = 256 << 20;

/// Finds the source of a script's number of CPUs. Needs two CPUs.
#[track_caller]
fn cpus(script: &str) -> From {
    let all = std::thread::available_parallelism().unwrap().get() as u64;
    let cgroup = TestCgroup::new();
    cgroup.limit_cpu(Some(100));
    // Views that ignore the quota beside cgroups that have it.
    let without = mounted("[cpus]\nquota = false\n");
    let own = format!("{CGROUPS}{script}");
    let by_cgroup = number(&TestContainer::new(&without, &cgroup), &own);
    let with = mounted("");
    let by_view = number(&TestContainer::new(&with, &cgroup), script);
    cgroup.limit_cpu(None);
    cgroup.limit_cpus("1");
    let by_cpuset = number(&TestContainer::new(&with, &cgroup), script);
    match (by_cgroup, by_view, by_cpuset) {
        (1, seen, 1) if seen == all => From::Cgroup,
        (seen, 1, 1) if seen == all => From::File,
        (a, b, 1) if (a, b) == (all, all) => From::Kernel,
        (a, b, c) if (a, b, c) == (all, all, all) => From::Possible,
        other => panic!("{script}: {other:?}"),
    }
}

/// Finds the source of a script's memory size, bytes.
#[track_caller]
fn memory(script: &str) -> From {
    let cgroup = TestCgroup::new();
    cgroup.limit_memory(LIMIT);
    let without = mounted("[views]\ndisable = [\"meminfo\"]\n");
    let own = format!("{CGROUPS}{script}");
    let by_cgroup = number(&TestContainer::new(&without, &cgroup), &own) <= LIMIT;
    let with = mounted("");
    let by_view = number(&TestContainer::new(&with, &cgroup), script) <= LIMIT;
    match (by_cgroup, by_view) {
        (true, false) => From::Cgroup,
        (false, true) => From::File,
        (false, false) => From::Kernel,
        (true, true) => panic!("{script}: both"),
    }
}

macro_rules! require_two_cpus {
    () => {
        require_privileged!();
        require!(
            std::thread::available_parallelism().unwrap().get() >= 2,
            "needs 2 CPUs"
        );
    };
}

#[test]
fn libc_and_its_tools() {
    require_two_cpus!();
    assert_eq!(cpus("getconf _NPROCESSORS_ONLN"), From::File);
    assert_eq!(cpus("getconf _NPROCESSORS_CONF"), From::Possible);
    assert_eq!(cpus("nproc"), From::Kernel);
    assert_eq!(memory("free -b | awk '/^Mem/ { print $2 }'"), From::File);
    let pages = "echo $(($(getconf _PHYS_PAGES) * $(getconf PAGE_SIZE)))";
    assert_eq!(memory(pages), From::Kernel);
}

#[test]
fn musl() {
    require_two_cpus!();
    let program = std::env::var("VISTAFS_MUSL_SYSCONF");
    require!(
        program.is_ok(),
        "needs a program that `cargo xtask test` compiles with musl-gcc"
    );
    assert_eq!(cpus(&program.unwrap()), From::Kernel);
}

#[test]
fn python() {
    require_two_cpus!();
    require!(
        program("python3"),
        "needs python3 (apt install python3-minimal)"
    );
    let print = |what: &str| format!("python3 -c 'import os; print({what})'");
    assert_eq!(cpus(&print("os.cpu_count()")), From::File);
    assert_eq!(cpus(&print("len(os.sched_getaffinity(0))")), From::Kernel);
    let pages = "os.sysconf(\"SC_PHYS_PAGES\") * os.sysconf(\"SC_PAGE_SIZE\")";
    assert_eq!(memory(&print(pages)), From::Kernel);
}

#[test]
fn node() {
    require_two_cpus!();
    require!(program("node"), "needs node (apt install nodejs)");
    let print = |what: &str| format!("node -p {what:?}");
    assert_eq!(cpus(&print("os.cpus().length")), From::File);
    assert_eq!(cpus(&print("os.availableParallelism()")), From::Kernel);
    assert_eq!(memory(&print("os.totalmem()")), From::File);
}

/// By default OpenJDK detects containers; without that it behaves like any libc program.
#[test]
fn java() {
    require_two_cpus!();
    require!(
        program("java"),
        "needs java (apt install openjdk-17-jre-headless)"
    );
    let flag = |options: &str, flag: &str| {
        format!(
            "java {options} -XX:+UseParallelGC -XX:+PrintFlagsFinal -version 2>/dev/null | \
             awk '/ {flag} / {{ print $4 }}'"
        )
    };
    // As many threads as processors, up to eight.
    assert_eq!(cpus(&flag("", "ParallelGCThreads")), From::Cgroup);
    let unaware = "-XX:-UseContainerSupport";
    assert_eq!(cpus(&flag(unaware, "ParallelGCThreads")), From::Kernel);
    // A fraction of the detected memory size.
    assert_eq!(memory(&flag("", "MaxHeapSize")), From::Cgroup);
    assert_eq!(memory(&flag(unaware, "MaxHeapSize")), From::Kernel);
}

/// Compiles a program and returns its path.
fn compiled(dir: &tempfile::TempDir, compiler: &[&str], name: &str, source: &str) -> String {
    let (from, to) = (dir.path().join(name), dir.path().join("program"));
    std::fs::write(&from, source).unwrap();
    let status = std::process::Command::new(compiler[0])
        .args(&compiler[1..])
        .arg("-o")
        .args([&to, &from])
        .status()
        .unwrap();
    assert!(status.success(), "{compiler:?}");
    to.to_str().unwrap().to_owned()
}

#[test]
fn rust() {
    require_two_cpus!();
    require!(program("rustc"), "needs rustc");
    let dir = tempfile::tempdir().unwrap();
    let source = "fn main() { println!(\"{}\", std::thread::available_parallelism().unwrap()) }";
    let program = compiled(&dir, &["rustc"], "p.rs", source);
    assert_eq!(cpus(&program), From::Cgroup);
}

#[test]
fn openmp() {
    require_two_cpus!();
    require!(program("gcc"), "needs gcc with libgomp (apt install gcc)");
    let dir = tempfile::tempdir().unwrap();
    let source = "#include <omp.h>\n#include <stdio.h>\n\
                  int main(void) { printf(\"%d\\n\", omp_get_max_threads()); }";
    let program = compiled(&dir, &["gcc", "-fopenmp"], "p.c", source);
    assert_eq!(cpus(&program), From::Kernel);
}

/// jemalloc disables per-CPU arenas itself if not all possible CPUs are online: so no thread uses an index
/// beyond their number.
#[test]
fn jemalloc() {
    require_two_cpus!();
    let library = ["x86_64", "aarch64"]
        .map(|arch| format!("/usr/lib/{arch}-linux-gnu/libjemalloc.so.2"))
        .into_iter()
        .chain(std::env::var("VISTAFS_JEMALLOC").ok())
        .find(|path| std::path::Path::new(path).exists());
    require!(
        library.is_some(),
        "needs jemalloc (apt install libjemalloc2)"
    );
    let library = library.unwrap();
    let preload = format!("LD_PRELOAD={library} /bin/true 2>&1");
    // Four for each CPU, but one for a single CPU.
    let arenas = "awk '/opt.narenas/ { print ($2 == 1) ? 1 : $2 / 4 }'";
    let count = format!("MALLOC_CONF=stats_print:true {preload} | {arenas}");
    assert_eq!(cpus(&count), From::Kernel);
    let mounted = mounted("");
    let cgroup = TestCgroup::new();
    let by_cpu = format!("MALLOC_CONF=percpu_arena:percpu {preload}; true");
    for limit in ["quota", "cpuset"] {
        cgroup.limit_cpu((limit == "quota").then_some(100));
        cgroup.limit_cpus(if limit == "cpuset" { "1" } else { "0-1" });
        let text = TestContainer::new(&mounted, &cgroup).run(&by_cpu);
        assert!(text.contains("not deterministic"), "{limit}: {text}");
    }
}
