use std::os::fd::AsFd;
use std::path::Path;

use tempfile::TempDir;
use vistafs_cgroup::Hierarchies;
use vistafs_handover::Handover;
use vistafs_host::FixedFacts;
use vistafs_text::loadavg::Averages;
use vistafs_text::time_offsets::Offset;

use super::*;
use crate::kept::{Keeper, Origin};

const NEVER: Duration = Duration::from_secs(3600);

/// A host with one cgroup, `/box`, on v2.
struct Small {
    dir: TempDir,
    host: Arc<Host>,
    hierarchies: Hierarchies,
}

impl Small {
    fn new() -> Self {
        Self::of_age(Duration::ZERO)
    }

    /// The container started with the host, `age` ago.
    fn of_age(age: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("c/box")).unwrap();
        std::fs::create_dir(dir.path().join("proc")).unwrap();
        let facts = FixedFacts {
            boottime: age,
            clk_tck: 100,
            page_size: 4096,
        };
        let host = Arc::new(Host::captured(dir.path(), facts).unwrap());
        let mounts = b"30 1 0:30 / /c rw - cgroup2 cgroup2 rw\n";
        let small = Self {
            hierarchies: Hierarchies::discover(mounts, dir.path()).unwrap(),
            host,
            dir,
        };
        small.write("c/box/cgroup.procs", "");
        small.write("sys/devices/system/cpu/online", "0-3\n");
        small.set_threads("");
        small
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// One thread for each state letter.
    fn set_threads(&self, states: &str) {
        let mut tids = String::new();
        for (tid, state) in (100..).zip(states.chars()) {
            tids += &format!("{tid}\n");
            let rest = "1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0";
            let stat = format!("{tid} (x) {state} {rest}\n");
            self.write(&format!("proc/{tid}/task/{tid}/stat"), &stat);
            let status = format!("Name:\tx\nNSpid:\t{tid}\t{}\n", tid - 99);
            self.write(&format!("proc/{tid}/status"), &status);
        }
        self.write("c/box/cgroup.threads", &tids);
    }

    /// Reads the load as a caller outside the container.
    fn load(&self, sampler: &LoadSampler, container: &Arc<Container>) -> Load {
        sampler.load(container, &self.host, None).unwrap().unwrap()
    }

    fn container(&self) -> Arc<Container> {
        self.container_with(Clock::default())
    }

    fn container_with(&self, clock: Clock) -> Arc<Container> {
        let located = self.hierarchies.locate_path(Path::new("/box")).unwrap();
        let offset = Offset::default();
        let container = Container::new(&self.hierarchies, located, Duration::ZERO, offset);
        Arc::new(container.with_clock(clock))
    }
}

#[track_caller]
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(
            started.elapsed() < NEVER / 180,
            "waited in vain until {what}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn is_running(sampler: &LoadSampler) -> bool {
    sampler.shared.joining.lock().is_running
}

#[test]
fn one_that_has_just_begun_has_no_load() {
    let small = Small::of_age(Duration::from_secs(4));
    small.set_threads("RRSDZ");
    small.write(
        "c/box/cpu.stat",
        "usage_usec 8000000\nuser_usec 8000000\nsystem_usec 0\n",
    );
    let load = small.load(&LoadSampler::new(NEVER), &small.container());
    assert_eq!(load.averages, Averages::steady(0));
    let counts = load.counts;
    assert_eq!((counts.running, counts.blocked, counts.total), (2, 1, 5));
    assert_eq!(counts.last_pid, 5);
}

/// Expects the kernel's result for a constant number of threads, equal to the mean.
#[test]
fn it_begins_with_the_mean_of_its_life() {
    let averages = |age: u64, cpu_stat: &str, threads: &str| {
        let small = Small::of_age(Duration::from_secs(age));
        small.set_threads(threads);
        if !cpu_stat.is_empty() {
            small.write("c/box/cpu.stat", cpu_stat);
        }
        small
            .load(&LoadSampler::new(NEVER), &small.container())
            .averages
    };
    let after = |samples, threads| {
        let mut averages = Averages::steady(0);
        averages.add(samples, threads);
        averages
    };
    let used = |seconds: u64| {
        format!(
            "usage_usec {0}000000\nuser_usec {0}000000\nsystem_usec 0\n",
            seconds
        )
    };
    assert_eq!(averages(60, &used(120), "S"), after(12, 2));
    assert_eq!(averages(86_400, &used(86_400), "S"), Averages::steady(1));
    // Capped by the CPUs: its cgroup is older.
    assert_eq!(averages(60, &used(1_000_000), "S"), after(12, 4));
    // Without CPU times from the kernel, the current count is taken for the whole past.
    assert_eq!(averages(60, "", "RRR"), after(12, 3));
}

#[test]
fn who_asks_is_about_to_wait() {
    let small = Small::of_age(Duration::from_secs(86_400));
    small.set_threads("RRD");
    let asker = Some(101);
    let load = LoadSampler::new(NEVER).load(&small.container(), &small.host, asker);
    let load = load.unwrap().unwrap();
    assert_eq!(load.averages, Averages::steady(2));
    let counts = load.counts;
    assert_eq!((counts.running, counts.blocked, counts.total), (1, 1, 3));
}

#[test]
fn it_is_sampled_while_it_is_asked_for_and_then_no_more() {
    let small = Small::of_age(Duration::from_secs(86_400));
    small.set_threads("S");
    let (idle, period, clock) = (NEVER, Duration::from_millis(10), Clock::manual());
    let sampler = LoadSampler::with_period(idle, period, clock.clone());
    let container = small.container_with(clock.clone());
    let load = || small.load(&sampler, &container);
    assert_eq!(load().averages, Averages::steady(0));
    assert!(is_running(&sampler));
    small.set_threads("RR");
    // A sample may read half-written files.
    wait_until("it has risen", || {
        clock.advance(period);
        let load = load();
        load.averages != Averages::steady(0) && load.counts.running == 2
    });
    clock.advance(idle + period);
    wait_until("the thread has ended", || !is_running(&sampler));
    // A new read restarts the series.
    assert_eq!(load().averages, Averages::steady(2));
    assert!(is_running(&sampler));
}

#[test]
fn a_reader_is_served_the_last_sample() {
    let small = Small::new();
    small.set_threads("R");
    let clock = Clock::manual();
    // Every process samples at the same instants; none may fall between the two reads.
    let sampler = LoadSampler::with_period(NEVER, NEVER, clock.clone());
    let container = small.container_with(clock.clone());
    let load = || small.load(&sampler, &container);
    let first = load();
    small.set_threads("RRRR");
    clock.advance(Duration::from_secs(60));
    assert!(container.must_count_tasks());
    assert_eq!(load(), first, "nothing is counted for it");
}

/// Skips counts while they would take more than 1 % of a CPU; time goes on.
#[test]
fn where_counting_is_dear_the_last_count_stands() {
    let small = Small::new();
    small.set_threads("RR");
    let container = small.container();
    let counts = || container.task_counts_now(&small.host).unwrap().unwrap();
    let rules = Rules {
        period: Duration::from_secs(5),
        idle: NEVER,
    };
    let at = |tick| Now {
        instant: Instant::now(),
        tick,
    };
    let series = Series::default();
    let past = Averages::steady(2);
    assert!(series.begin(&container, counts(), past, (at(0), rules)).1);
    let spent = std::cell::Cell::new(Duration::ZERO);
    // The cost of each count.
    let sample = |tick, cost: u64| {
        let clock = || {
            let now = spent.get();
            spent.set(now + Duration::from_millis(cost));
            now
        };
        assert_eq!(
            series.sample(&small.host, at(tick), rules, clock),
            Sampled::Stays
        );
        series.ask(&container, at(tick)).unwrap()
    };
    let averages = |samples: &[(u64, u64)]| {
        let mut averages = Averages::steady(2);
        samples
            .iter()
            .for_each(|(n, threads)| averages.add(*n, *threads));
        averages
    };
    small.set_threads("S");
    assert_eq!(sample(1, 500), averages(&[(1, 0)]));
    small.set_threads("RRRR");
    assert_eq!(
        sample(2, 500),
        averages(&[(1, 0), (1, 4)]),
        "once does not matter"
    );
    small.set_threads("S");
    assert_eq!(sample(5, 500), averages(&[(1, 0), (4, 4)]));
    assert_eq!(sample(11, 500), averages(&[(1, 0), (10, 4)]));
    assert_eq!(
        sample(12, 1),
        averages(&[(1, 0), (10, 4), (1, 0)]),
        "ten ticks"
    );
    small.set_threads("R");
    assert_eq!(sample(13, 1), averages(&[(1, 0), (10, 4), (1, 0), (1, 1)]));
}

#[test]
fn one_that_has_ended_leaves() {
    let small = Small::new();
    small.set_threads("R");
    let sampler = LoadSampler::with_period(NEVER, Duration::from_millis(10), Clock::default());
    let (one, other) = (small.container(), small.container());
    sampler.load(&one, &small.host, None).unwrap();
    sampler.load(&other, &small.host, None).unwrap();
    drop(one);
    // Kept by an open file, its cgroup removed.
    std::fs::remove_dir_all(small.dir.path().join("c/box")).unwrap();
    wait_until("the thread has ended", || !is_running(&sampler));
    let error = sampler.load(&other, &small.host, None).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(!is_running(&sampler));
}

#[test]
fn one_that_moves_keeps_its_averages() {
    let small = Small::of_age(Duration::from_secs(86_400));
    small.set_threads("RR");
    let sampler = LoadSampler::with_period(NEVER, Duration::from_millis(10), Clock::default());
    let container = small.container();
    sampler.load(&container, &small.host, None).unwrap();
    small.set_threads("S");
    let elsewhere = small.hierarchies.locate_path(Path::new("/box")).unwrap();
    let moved = Arc::new(container.moved_to(&small.hierarchies, elsewhere));
    drop(container);
    wait_until("the old one has left", || !is_running(&sampler));
    let load = || small.load(&sampler, &moved).averages;
    let first = load();
    assert_ne!(first, Averages::steady(0), "it goes on from 2");
    assert_ne!(
        first,
        Averages::steady(2),
        "the time between is made up for"
    );
    wait_until("it is sampled again", || load() != first);
}

#[test]
fn its_thread_ends_with_it() {
    let small = Small::new();
    let sampler = LoadSampler::with_period(NEVER, Duration::from_millis(10), Clock::default());
    let container = small.container();
    sampler.load(&container, &small.host, None).unwrap();
    let shared = Arc::downgrade(&sampler.shared);
    drop(sampler);
    wait_until("nothing is left", || shared.strong_count() == 0);
    wait_until("the host is left", || Arc::strong_count(&small.host) == 1);
}

#[test]
fn a_host_that_is_the_container_has_no_load_of_its_own() {
    let small = Small::new();
    let located = small.hierarchies.locate_path(Path::new("/")).unwrap();
    let offset = Offset::default();
    let root = Arc::new(Container::new(
        &small.hierarchies,
        located,
        Duration::ZERO,
        offset,
    ));
    let sampler = LoadSampler::new(NEVER);
    assert_eq!(sampler.load(&root, &small.host, None).unwrap(), None);
    assert!(!is_running(&sampler));
}

#[test]
fn the_next_process_goes_on_with_the_averages() {
    let small = Small::of_age(Duration::from_secs(86_400));
    let handover = Handover::create().unwrap();
    let container = |handover: &Arc<Handover>| {
        let container = Arc::into_inner(small.container()).unwrap();
        let keeper = Keeper::new(Some(handover), Origin::Path, &container.mark());
        Arc::new(container.kept_by(keeper))
    };
    let averages = |sampler: &LoadSampler, container: &Arc<Container>| {
        let load = sampler.load(container, &small.host, None);
        load.unwrap().unwrap().averages
    };
    small.set_threads("RRRR");
    let (first, of_first) = (LoadSampler::new(NEVER), container(&handover));
    assert_eq!(averages(&first, &of_first), Averages::steady(4));
    drop((first, of_first));

    // Its successor counts no thread and lets the averages decay from the saved values.
    small.set_threads("");
    let adopted = handover.as_fd().try_clone_to_owned().unwrap();
    let of_second = container(&Handover::adopt(adopted).unwrap());
    let second = LoadSampler::new(NEVER);
    let went_on = averages(&second, &of_second);
    assert!(went_on != Averages::steady(0) && went_on.to_bits() <= Averages::steady(4).to_bits());

    // Without a record the series starts from the current count.
    let other = small.container();
    assert_eq!(averages(&second, &other), Averages::steady(0));
}
