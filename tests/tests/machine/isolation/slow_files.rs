//! A slow file delays only its own readers, whatever their number.

use vistafs_tests::arena::{Arena, scaled};
use vistafs_tests::container::Namespaces;
use vistafs_tests::plugins::{Odd, Plugins};
use vistafs_tests::require::guest;
use vistafs_tests::require_privileged;
use vistafs_tests::role::Start;

use super::words;

/// More than the 64 of one queue in the first release.
const READERS: usize = 200;

/// A command that takes half a second.
pub(super) fn slow_command(stuck_seconds: u32) -> String {
    let timeout = if guest() { 10_000 } else { 1500 };
    format!(
        "[[file]]\npath = \"proc/site/slow\"\ncommand = [\"/bin/sleep\", \"0.5\"]\nuser = \"nobody\"\n\
         timeout_ms = {timeout}\n[worker]\nstuck_seconds = {stuck_seconds}\n"
    )
}

/// A directory with the plugin whose files misbehave.
pub(super) fn slow_plugin() -> Plugins {
    let plugins = Plugins::new();
    plugins.put_odd(Odd::Behaves, "odd.so");
    plugins
}

/// Only the slow file of the plugin.
pub(super) fn slow_plugin_config(plugins: &Plugins, stuck_seconds: u32) -> String {
    let others = [
        "answer", "bytes", "error", "little", "much", "never", "panic", "signal", "tree",
    ];
    let others = others.map(|name| format!("odd-{name}"));
    format!(
        "{}[views]\ndisable = {others:?}\n[worker]\nstuck_seconds = {stuck_seconds}\n",
        plugins.config()
    )
}

fn attack_on(arena: Arena, file: &str) {
    let cgroup = arena.attackers("slow");
    let path = arena.mounted().path(file);
    let start = Start {
        args: words![scaled(READERS).max(80), path.display()],
        ..Start::default()
    };
    let attack = arena.attack(&cgroup, Namespaces::Both, "readers", start);
    arena.withstand(vec![attack]);
}

#[test]
fn two_hundred_readers_of_a_slow_command_delay_no_other_container() {
    require_privileged!();
    attack_on(Arena::new(&slow_command(300)), "proc/site/slow");
}

/// A plugin that takes a tenth of a second for each reader.
#[test]
fn two_hundred_readers_of_a_slow_plugin_delay_no_other_container() {
    require_privileged!();
    let plugins = slow_plugin();
    attack_on(
        Arena::new(&slow_plugin_config(&plugins, 300)),
        "proc/odd/slow",
    );
}
