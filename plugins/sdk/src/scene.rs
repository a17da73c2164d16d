//! A view's context, made from the facts of vistafs.
//!
//! Host, hierarchies and containers belong to the plugin, and are created by the same code as in
//! vistafs, from the directories that vistafs has open, so both use the same ones. A container is
//! cached as long as vistafs has it.

use std::cell::RefCell;
use std::ffi::c_void;
use std::mem::{offset_of, size_of};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use vistafs_cgroup::Hierarchies;
use vistafs_container::{Container, CpuPolicy};
use vistafs_host::{FixedFacts, Host, HostError};
use vistafs_plugin_abi as abi;
use vistafs_text::time_offsets::Offset;
use vistafs_view::{Asker, Errno, Policy, Request, ViewError};

use crate::guard::{bytes, result};

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A machine: the running one, or a captured one.
#[derive(Clone)]
struct Machine {
    root: PathBuf,
    host: Arc<Host>,
    hierarchies: Arc<Hierarchies>,
}

static MACHINES: Mutex<Vec<Machine>> = Mutex::new(Vec::new());

/// Lets a view answer a request with the context from vistafs.
pub(crate) fn with_request<T>(
    host: &abi::Host,
    context: *const abi::Context,
    answer: impl FnOnce(&mut Request<'_>) -> Result<T, ViewError>,
) -> Result<T, ViewError> {
    let facts = facts(host, context)?;
    let machine = machine(&facts)?;
    let container = container(host, context, &machine)?;
    let mut caller = abi::Caller {
        size: size_of::<abi::Caller>(),
        thread: 0,
        uid: 0,
        gid: 0,
    };
    // SAFETY: the context is that of the function that is being answered, and the table is as large as it
    // says.
    let told = unsafe { (host.caller)(context, &raw mut caller) };
    result(told).map_err(ViewError::Answer)?;
    let asker = Asker {
        tid: caller.thread,
        uid: caller.uid,
        gid: caller.gid,
    };
    SCRATCH.with_borrow_mut(|scratch| {
        let parts = (&machine.host, &machine.hierarchies);
        answer(&mut Request::new(
            asker,
            container.as_ref(),
            parts,
            policy(facts.flags),
            scratch,
        ))
    })
}

fn policy(flags: u32) -> Policy {
    let has = |flag| flags & flag != 0;
    Policy {
        cpus: CpuPolicy {
            quota: has(abi::FLAG_CPU_QUOTA),
            renumber: has(abi::FLAG_RENUMBER_CPUS),
        },
        swap: has(abi::FLAG_SWAP),
    }
}

fn facts(host: &abi::Host, context: *const abi::Context) -> Result<abi::HostFacts, ViewError> {
    let mut facts = abi::HostFacts {
        // The remaining facts cost vistafs time, so the plugin determines them itself.
        size: offset_of!(abi::HostFacts, memory_total),
        flags: 0,
        root: -1,
        page_size: 0,
        clock_ticks: 0,
        boottime: 0,
        ttl: 0,
        memory_total: 0,
        online_cpus: 0,
    };
    // SAFETY: the context is that of the function that is being answered, and the table is no smaller than
    // it says.
    let told = unsafe { (host.host)(context, &raw mut facts) };
    result(told).map_err(ViewError::Answer)?;
    Ok(facts)
}

fn machine(facts: &abi::HostFacts) -> Result<Machine, ViewError> {
    let is_captured = facts.flags & abi::FLAG_CAPTURED != 0;
    let root = if is_captured {
        let link = format!("/proc/self/fd/{}", facts.root);
        std::fs::read_link(&link).map_err(|error| io(&link, error))?
    } else {
        PathBuf::from("/")
    };
    let mut machines = MACHINES.lock();
    if let Some(known) = machines.iter().find(|known| known.root == root) {
        return Ok(known.clone());
    }
    let host = if is_captured {
        let facts = FixedFacts {
            boottime: Duration::from_nanos(facts.boottime),
            clk_tck: facts.clock_ticks,
            page_size: facts.page_size,
        };
        Host::captured(&root, facts)?
    } else {
        Host::running(Duration::from_nanos(facts.ttl))?
    };
    let mounts = root.join("proc/self/mountinfo");
    let text = std::fs::read(&mounts).map_err(|error| io(&mounts, error))?;
    let new = Machine {
        host: Arc::new(host),
        hierarchies: Arc::new(Hierarchies::discover(&text, &root)?),
        root,
    };
    machines.push(new.clone());
    Ok(new)
}

fn io(path: impl AsRef<Path>, source: std::io::Error) -> ViewError {
    let path = path.as_ref().to_owned();
    HostError::Io { path, source }.into()
}

/// The plugin's state of one container.
#[derive(Default)]
struct Known {
    // With the number of moves at its creation.
    container: Mutex<Option<(u64, Arc<Container>)>>,
}

unsafe extern "C" fn make_known() -> *mut c_void {
    Box::into_raw(Box::<Known>::default()).cast()
}

unsafe extern "C" fn free_known(data: *mut c_void) {
    crate::guard::quietly(|| {
        // SAFETY: vistafs passes back the pointer of `make_known`, once.
        drop(unsafe { Box::from_raw(data.cast::<Known>()) });
    });
}

/// The container of a request. `None`: the host.
fn container(
    host: &abi::Host,
    context: *const abi::Context,
    machine: &Machine,
) -> Result<Option<Arc<Container>>, ViewError> {
    let mut told = abi::Container {
        size: size_of::<abi::Container>(),
        id: 0,
        name: abi::Str::EMPTY,
        age: 0,
        start: 0,
        boottime_offset_seconds: 0,
        boottime_offset_nanoseconds: 0,
        moves: 0,
    };
    // SAFETY: the context is that of the function that is being answered, and the table is as large as it
    // says.
    let answer = unsafe { (host.container)(context, &raw mut told) };
    match result(answer) {
        Err(Errno::NOENT) => return Ok(None),
        answer => answer.map_err(ViewError::Answer)?,
    }
    let mut data = std::ptr::null_mut();
    let make: unsafe extern "C" fn() -> *mut c_void = make_known;
    let free: unsafe extern "C" fn(*mut c_void) = free_known;
    // SAFETY: as above; the two functions belong together.
    let answer = unsafe { (host.remember)(context, Some(make), Some(free), &raw mut data) };
    result(answer).map_err(ViewError::Answer)?;
    if data.is_null() {
        return Err(ViewError::Answer(Errno::NOMEM));
    }
    // SAFETY: vistafs returns the pointer of `make_known`, and keeps it while the context is valid.
    let known = unsafe { &*data.cast::<Known>() };
    let mut kept = known.container.lock();
    if let Some((moves, container)) = &*kept
        && *moves == told.moves
    {
        return Ok(Some(Arc::clone(container)));
    }
    let located = machine
        .hierarchies
        .locate_directories(directories(host, context)?)?;
    let container = match &*kept {
        Some((_, before)) => before.moved_to(&machine.hierarchies, located),
        None => {
            let offset = Offset {
                seconds: told.boottime_offset_seconds,
                nanoseconds: told.boottime_offset_nanoseconds,
            };
            let start = Duration::from_nanos(told.start);
            Container::new(&machine.hierarchies, located, start, offset)
        }
    };
    let (_, container) = kept.insert((told.moves, Arc::new(container)));
    Ok(Some(Arc::clone(container)))
}

/// Directories of the container's cgroups, with the names of their hierarchies.
fn directories(
    host: &abi::Host,
    context: *const abi::Context,
) -> Result<Vec<(String, OwnedFd)>, ViewError> {
    let mut found = Vec::new();
    loop {
        let mut cgroup = abi::Cgroup {
            size: size_of::<abi::Cgroup>(),
            version: 0,
            directory: -1,
            hierarchy: abi::Str::EMPTY,
            path: abi::Str::EMPTY,
        };
        // SAFETY: the context is that of the function that is being answered, and the table is as large as
        // it says.
        let answer = unsafe { (host.cgroup_at)(context, found.len(), &raw mut cgroup) };
        match result(answer) {
            Err(Errno::NODEV) => return Ok(found),
            answer => answer.map_err(ViewError::Answer)?,
        }
        if cgroup.directory < 0 {
            return Err(ViewError::Answer(Errno::BADF));
        }
        // SAFETY: vistafs keeps it open while the context is valid.
        let directory = unsafe { BorrowedFd::borrow_raw(cgroup.directory) };
        let own = rustix::io::fcntl_dupfd_cloexec(directory, 0).map_err(ViewError::Answer)?;
        // SAFETY: the text is there as long as the context.
        let name = unsafe { bytes(cgroup.hierarchy) };
        found.push((String::from_utf8_lossy(name).into_owned(), own));
    }
}
