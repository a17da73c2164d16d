//! Contents of many pages, as on a host with 512 CPUs, and contents that grow beyond a page, on mounts that
//! this process serves: with OPEN and without.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags};
use tempfile::TempDir;
use vistafs_cgroup::Hierarchies;
use vistafs_container::Containers;
use vistafs_dispatch::{Dispatcher, VistaFs};
use vistafs_host::Host;
use vistafs_tests::cgroup::TestCgroup;
use vistafs_tests::container::TestContainer;
use vistafs_tests::vistafs::{Mounted, printed};
use vistafs_tests::{require, require_privileged};
use vistafs_view::{
    Context, Options, Policy, Provider, Registry, Selection, View, ViewError, ViewSpec,
};

/// Renders a line for each CPU, with the number of the snapshot in each line.
#[derive(Debug)]
struct Counted {
    // Lines of the first snapshot, and lines that each later one adds.
    lines: u64,
    more: u64,
    texts: AtomicU64,
}

impl Counted {
    fn new(lines: u64, more: u64) -> Self {
        let texts = AtomicU64::new(0);
        Self { lines, more, texts }
    }
}

impl View for Counted {
    fn render(&self, _: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let text = self.texts.fetch_add(1, Ordering::SeqCst);
        let lines = self.lines + self.more * text;
        for cpu in 0..lines {
            out.extend_from_slice(format!("cpu{cpu} of {lines} in {text:06}\n").as_bytes());
        }
        Ok(())
    }
}

const fn spec(name: &'static str, path: &'static str) -> ViewSpec {
    ViewSpec {
        name,
        path,
        summary: "a test",
        mode: 0o444,
        on_by_default: true,
        sources: &[],
        options: &[],
        build: |_: &Options| Provider::File(Arc::new(Counted::new(512 * 12, 0))),
    }
}

static LARGE: ViewSpec = spec("large", "proc/large");
static SMALL: ViewSpec = ViewSpec {
    build: |_: &Options| Provider::File(Arc::new(Counted::new(50, 0))),
    ..spec("small", "proc/small")
};
static GROWING: ViewSpec = ViewSpec {
    build: |_: &Options| Provider::File(Arc::new(Counted::new(50, 20))),
    ..spec("growing", "proc/growing")
};

/// Unmounts on drop, which ends serving.
struct Served {
    dir: TempDir,
}

impl Served {
    fn new() -> Self {
        Self::with(|dispatcher| dispatcher)
    }

    fn with(tree: impl FnOnce(Dispatcher) -> Dispatcher) -> Self {
        let host = Arc::new(Host::running(Duration::ZERO).unwrap());
        let mounts = std::fs::read("/proc/self/mountinfo").unwrap();
        let hierarchies = Arc::new(Hierarchies::discover(&mounts, Path::new("/")).unwrap());
        let containers = Containers::new(host, hierarchies).unwrap();
        let registry = Registry::new([&LARGE, &SMALL, &GROWING], &Selection::default()).unwrap();
        let dispatcher = Dispatcher::new(containers, &registry, Policy::default())
            .with_ttl(Duration::from_millis(100));
        let dispatcher = tree(dispatcher);

        let dir = tempfile::tempdir().unwrap();
        let device = File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .unwrap();
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions",
            device.as_raw_fd()
        );
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        let options = Some(options.as_str());
        nix::mount::mount(
            Some("texts"),
            dir.path(),
            Some("fuse.texts"),
            flags,
            options,
        )
        .unwrap();
        let file_system = VistaFs::new(Arc::new(dispatcher));
        let acl = fuser::SessionACL::All;
        let mut config = fuser::Config::default();
        config.n_threads = Some(2);
        config.acl = acl;
        let session =
            fuser::Session::from_fd(file_system, OwnedFd::from(device), acl, config).unwrap();
        std::thread::spawn(move || session.run());
        Self { dir }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let unmounted = nix::mount::umount2(self.dir.path(), MntFlags::MNT_DETACH);
        if !std::thread::panicking() {
            unmounted.unwrap();
        }
    }
}

#[test]
fn texts_of_many_pages_are_of_one_moment() {
    require_privileged!();
    require!(require::program("python3"), "needs python3");
    let (served, mounted, cgroup) = (Served::new(), Mounted::new(), TestCgroup::new());
    let mut command = TestContainer::new(&mounted, &cgroup).command("python3 -c \"$SCRIPT\"");
    let output = command
        .env("SCRIPT", include_str!("page_cache/moments.py"))
        .env("TEXTS", served.dir.path().join("self"))
        .output()
        .unwrap();
    let text = printed(&output);
    // How many snapshots of each kind were seen, and how often: a snapshot that was read more than once came
    // from the page cache.
    let rows: Vec<(&str, u64, u64)> = text
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (
                words[0],
                words[1].parse().unwrap(),
                words[2].parse().unwrap(),
            )
        })
        .collect();
    let [
        ("large", texts, reads),
        ("small", few, many),
        ("growing", _, _),
    ] = rows[..]
    else {
        panic!("{text}");
    };
    assert_eq!(texts, reads, "{text}");
    assert!(few > 3 && few < many / 2, "{text}");
}

#[test]
fn in_the_page_cache_tree_no_text_is_of_two_moments() {
    require_privileged!();
    require!(require::program("python3"), "needs python3");
    let served = Served::with(Dispatcher::without_open);
    let (mounted, cgroup) = (Mounted::new(), TestCgroup::new());
    let mut command = TestContainer::new(&mounted, &cgroup).command("python3 -c \"$SCRIPT\"");
    let output = command
        .env("SCRIPT", include_str!("page_cache_tree/moments.py"))
        .env("TEXTS", served.dir.path().join("self"))
        .output()
        .unwrap();
    let text = printed(&output);
    let numbers: Vec<u32> = text
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect();
    let &[few, many] = &numbers[..] else {
        panic!("{text}");
    };
    assert!(few > 3 && few < many / 2, "{text}");
}
