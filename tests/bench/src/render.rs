//! Runs one rendering of a view, or one call of a parser, between two stops, so that a tracer can
//! count its instructions (`tests/bench/tests/instructions.rs`).

use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::process::{Signal, getpid, kill_process};
use vistafs_bench::allocations;
use vistafs_bench::captured::{Captured, Warmth};
use vistafs_bench::parsers::Parser;

/// Renders a few times, stops, renders once more, stops, and prints the minimum number of
/// allocations of a rendering. `slowly`: stops and renders once more before that.
///
/// Single-stepping slows down time between stops. A count of threads is served for 100 times its
/// cost, so the second of two stepped renderings reuses it; a single one may or may not.
pub(crate) fn render(root: &Path, path: &str, warmth: Warmth, slowly: bool) -> Result<()> {
    let captured = Captured::open(root, warmth)?;
    let view = captured.view(path)?;
    let (mut scratch, mut out) = (Vec::new(), Vec::new());
    let renderings = if slowly { 2 } else { 1 };
    measured(renderings, || {
        captured.render(&*view, &mut scratch, &mut out)
    })
}

/// Like [`render`], for a parser.
pub(crate) fn parse(name: &str) -> Result<()> {
    let parser = Parser::named(name)?;
    let text = parser.text()?;
    let mut out = Vec::new();
    measured(1, || {
        parser.parse(&text, &mut out);
        Ok(())
    })
}

fn measured(between_stops: usize, mut once: impl FnMut() -> Result<()>) -> Result<()> {
    for _ in 0..3 {
        once()?;
    }
    let mut asked = || {
        let before = allocations::count();
        once().map(|()| allocations::count() - before)
    };
    // On a busy machine a cached value may have expired meanwhile.
    let counts: Result<Vec<_>> = (0..5).map(|_| asked()).collect();
    let least = counts?.into_iter().min().context("no rendering")?;
    let stop = || kill_process(getpid(), Signal::STOP);
    for _ in 0..between_stops {
        stop()?;
        once()?;
    }
    stop()?;
    println!("{least}");
    Ok(())
}
