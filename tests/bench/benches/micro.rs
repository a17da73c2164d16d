//! Measures a rendering, a parser and the configuration without a mount.

#![allow(clippy::unwrap_used, reason = "in a benchmark a panic is the report")]

#[path = "micro/configuration.rs"]
mod configuration;
#[path = "micro/parsers.rs"]
mod parsers;
#[path = "micro/renders.rs"]
mod renders;

use std::time::Duration;

use configuration::configuration;
use criterion::{Criterion, criterion_group, criterion_main};
use parsers::parsers;
use renders::renders;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30);
    targets = renders, parsers, configuration
}
criterion_main!(benches);
