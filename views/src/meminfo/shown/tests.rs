use proptest::prelude::*;

use vistafs_cgroup::SwapFigures;

use super::*;

const MIB: u64 = 1 << 20;

fn figures(limit: Limit, usage: u64, swap: SwapFigures) -> MemoryFigures {
    MemoryFigures {
        limit,
        usage,
        stat: MemoryStat::default(),
        headroom: Limit::Max,
        ancestors_headroom: Limit::Max,
        swap,
    }
}

fn host() -> HostMemory {
    HostMemory {
        total: 1000 * MIB,
        available: 600 * MIB,
        swap_total: 300 * MIB,
        commit_limit: 800 * MIB,
        ..HostMemory::default()
    }
}

#[test]
fn usage_above_the_limit_leaves_nothing_free() {
    let shown = Shown::new(
        &figures(Limit::Value(MIB), 2 * MIB, SwapFigures::NotAccounted),
        &host(),
        true,
        true,
    );
    assert_eq!((shown.total, shown.free, shown.available), (MIB, 0, 0));
}

#[test]
fn available_is_no_more_than_anybody_can_give() {
    let mut figures = figures(
        Limit::Value(900 * MIB),
        100 * MIB,
        SwapFigures::NotAccounted,
    );
    figures.stat.inactive_file = 50 * MIB;
    assert_eq!(
        Shown::new(&figures, &host(), true, true).available,
        600 * MIB,
        "the host"
    );
    figures.ancestors_headroom = Limit::Value(70 * MIB);
    assert_eq!(
        Shown::new(&figures, &host(), true, true).available,
        70 * MIB,
        "an ancestor"
    );
    let alone = Shown::new(&figures, &host(), true, false);
    assert_eq!(alone.available, 850 * MIB, "what lxcfs shows");
    figures.limit = Limit::Value(110 * MIB);
    assert_eq!(
        Shown::new(&figures, &host(), true, true).available,
        60 * MIB,
        "its own"
    );
    figures.stat.inactive_file = 900 * MIB;
    let alone = Shown::new(&figures, &host(), true, false);
    assert_eq!(alone.available, 110 * MIB, "never above the total");
}

#[test]
fn hidden_swap_is_none() {
    let swap = SwapFigures::Apart {
        limit: Limit::Max,
        usage: 28 * MIB,
    };
    let figures = figures(Limit::Max, MIB, swap);
    assert_eq!(
        Shown::new(&figures, &host(), true, true).swap.total,
        300 * MIB,
        "shown"
    );
    let hidden = Shown::new(&figures, &host(), false, true);
    assert_eq!(hidden.swap, Swap::default());
    let bytes = |bytes| Some(Value::Bytes(bytes));
    assert_eq!(
        hidden.field(b"CommitLimit", &figures.stat),
        bytes(500 * MIB)
    );
    assert_eq!(hidden.field(b"Committed_AS", &figures.stat), bytes(0));
}

#[test]
fn huge_pages_are_cut_to_the_limit() {
    let host = HostMemory {
        huge_page: 2 * MIB,
        huge_total: 64,
        huge_free: 60,
        ..host()
    };
    let figures = HugetlbFigures {
        limit: Limit::Value(16 * MIB),
        usage: 4 * MIB,
    };
    let shown = |key: &str| huge_pages(key.as_bytes(), 1 << 30, &host, Some(&figures));
    assert_eq!(shown("HugePages_Total"), Some(Value::Count(8)));
    assert_eq!(shown("HugePages_Free"), Some(Value::Count(6)));
    assert_eq!(shown("Hugetlb"), Some(Value::Bytes(16 * MIB)));
    assert_eq!(shown("Hugepagesize"), Some(Value::Host));
    assert_eq!(shown("HugePages_New"), None);
}

proptest! {
    #[test]
    fn shown_figures_are_never_absurd(
        limit in any::<u64>(), usage in any::<u64>(), cache in any::<u64>(), headroom in any::<u64>(),
        pool in any::<u64>(), pool_usage in any::<u64>(), total in any::<u64>(), available in any::<u64>(),
        swap_total in any::<u64>(), commit_limit in any::<u64>(), v1 in any::<bool>(),
    ) {
        let swap = if v1 {
            SwapFigures::Pool { limit: Limit::Value(pool), usage: pool_usage, swappiness: None }
        } else {
            SwapFigures::Apart { limit: Limit::Value(pool), usage: pool_usage }
        };
        let mut figures = figures(Limit::Value(limit), usage, swap);
        figures.stat.active_file = cache;
        figures.ancestors_headroom = Limit::Value(headroom);
        let host = HostMemory { total, available, swap_total, commit_limit, ..HostMemory::default() };
        let shown = Shown::new(&figures, &host, true, true);
        prop_assert!(shown.total <= total.min(limit));
        prop_assert!(shown.free <= shown.total);
        prop_assert!(shown.available <= shown.total.min(available).min(headroom));
        prop_assert!(shown.swap.used <= shown.swap.total);
        prop_assert!(shown.swap.total <= swap_total);
        let _ = shown.field(b"SwapFree", &figures.stat);
    }
}
