//! One rendering of a view, or one call of a parser, between two stops: for who counts its instructions
//! (`tests/bench/tests/instructions.rs`).

use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::process::{Signal, getpid, kill_process};
use vistafs_bench::allocations;
use vistafs_bench::captured::{Captured, Warmth};
use vistafs_bench::parsers::Parser;

/// Renders a few times, stops, renders once more, stops, and prints how often a rendering asks for memory
/// at least. `slowly`: stops and renders once more before that.
///
/// Between stops time passes slowly. A count of threads is served for 100 times as long as it took, so that
/// of two renderings between stops the second has it, and of one it depends.
pub(crate) fn render(root: &Path, path: &str, warmth: Warmth, slowly: bool) -> Result<()> {
    let captured = Captured::open(root, warmth)?;
    let view = captured.view(path)?;
    let (mut scratch, mut out) = (Vec::new(), Vec::new());
    let renderings = if slowly { 2 } else { 1 };
    measured(renderings, || {
        captured.render(&*view, &mut scratch, &mut out)
    })
}

/// The same with a parser.
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
    // A machine that was busy meanwhile may have made something old.
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
