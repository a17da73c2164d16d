//! Manual pages and completions for packages, generated from the same source as
//! `--help`.
//!
//! The files are in contrib/, so that packages need no extra step. The test compares them, and writes them
//! with `VISTAFS_ACCEPT=1 cargo test -p vistafs documents`.

use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use vistafs_view::{Registry, Selection};

/// The part of vistafs(8) after the options.
const REST: &str = r#".SH "EXIT STATUS"
.TP
0
All is well. For \fBvistafs run\fR: that of COMMAND, or 128 and the signal that has ended it.
.TP
1
It failed; one line on standard error says at what, why, and what to do. For \fBvistafs doctor\fR: something is broken.
.TP
2
The command line is wrong.
.TP
3
For \fBvistafs repair\fR: a dead view is left.
.TP
125
For \fBvistafs run\fR: vistafs itself has failed.
.SH ENVIRONMENT
.TP
NO_COLOR
Help is never coloured. It is on a terminal alone.
.TP
NOTIFY_SOCKET, LISTEN_FDS, JOURNAL_STREAM
Of systemd: \fBvistafs mount\fR tells when it is ready, takes stored descriptors, and logs as the journal wants it.
.SH FILES
.TP
/etc/vistafs/config.toml
The configuration: \fBvistafs.toml\fR(5). It need not exist.
.TP
/run/vistafs/*.sock
Where commands ask the vistafs of a mount.
.TP
\fIDIR\fR/metrics
Figures for Prometheus; root on the host alone finds it.
.SH "SEE ALSO"
\fBvistafs.toml\fR(5), \fBvistafs-plugin\fR(7), \fBcgroups\fR(7), \fBproc\fR(5)
"#;

fn contrib() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib")
}

/// Returns vistafs(8): all commands on one page.
fn manual() -> String {
    let mut command = super::Cli::command();
    command.build();
    let man = Man::new(command.clone())
        .section("8")
        .manual("System administration")
        // Without a date, which would change by itself.
        .date("");
    let mut page = Vec::new();
    man.render_title(&mut page).unwrap();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    let mut page = String::from_utf8(page).unwrap();
    page += ".SH COMMANDS\n";
    for command in visible(&command) {
        match visible(command).next() {
            Some(_) => page.extend(visible(command).map(section)),
            None => page += &section(command),
        }
    }
    page += REST;
    page
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|one| !one.is_hide_set())
}

/// Returns the section of one command. General options are described once.
fn section(command: &Command) -> String {
    let local = command.clone().mut_args(|arg| {
        let everywhere = arg.is_global_set() || arg.get_id() == "help";
        arg.hide(everywhere)
    });
    let usage = local.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").replace('\n', " ");
    let mut head = Roff::new();
    head.control("SS", [local.get_bin_name().unwrap_or_default()]);
    head.text([bold(usage.split_whitespace().collect::<Vec<_>>().join(" "))]);
    head.control("PP", []);
    let about = local.get_long_about().or(local.get_about());
    head.text([roman(about.map(ToString::to_string).unwrap_or_default())]);
    let mut options = Vec::new();
    Man::new(local.clone())
        .render_options_section(&mut options)
        .unwrap();
    let options = String::from_utf8(options).unwrap();
    let options = options.lines().filter(|line| !line.starts_with(".SH"));
    let mut text = head.render();
    for line in options {
        text += line;
        text += "\n";
    }
    if let Some(after) = local.get_after_help() {
        let mut example = Roff::new();
        example.control("PP", []);
        example.control("nf", []);
        for line in after.to_string().lines() {
            example.text([roman(line)]);
        }
        example.control("fi", []);
        text += &example.render();
    }
    without_preamble(&text)
}

/// Definitions of roff, which are at the top of the page once.
fn without_preamble(text: &str) -> String {
    let preamble = |line: &&str| !line.starts_with(".ie") && !line.starts_with(".el");
    text.lines()
        .filter(preamble)
        .fold(String::new(), |all, line| all + line + "\n")
}

/// Returns vistafs.toml(5): every key with its default.
fn configuration() -> String {
    let mut page = Roff::new();
    page.control("TH", ["vistafs.toml", "5", "", "vistafs", "File formats"]);
    page.control("SH", ["NAME"]);
    page.text([roman("vistafs.toml - configuration of vistafs")]);
    page.control("SH", ["SYNOPSIS"]);
    page.text([
        roman("/etc/vistafs/config.toml, or "),
        bold("--config FILE"),
    ]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([roman(
        "The file is TOML, and need not exist. An unknown key is an error, which is told with its line. \
         These are the keys, with what holds where nothing is said; the options of one view are listed by ",
    ), bold("vistafs views --json"), roman(".")]);
    page.control("PP", []);
    page.control("nf", []);
    for line in keys().lines() {
        page.text([roman(line)]);
    }
    page.control("fi", []);
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("vistafs"), roman("(8)")]);
    page.render()
}

/// Returns the configuration with comments, from its own source.
fn keys() -> String {
    let registry = Registry::collect(&Selection::default()).unwrap();
    vistafs_config::example(registry.all())
}

fn completions(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut super::Cli::command(), "vistafs", &mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn documents_are_those_of_this_command_line() {
    let accepts = std::env::var_os("VISTAFS_ACCEPT").is_some_and(|value| value == "1");
    let mut stale = Vec::new();
    for (name, text) in [
        ("man/vistafs.8", manual()),
        ("man/vistafs.toml.5", configuration()),
        ("completions/vistafs.bash", completions(Shell::Bash)),
        ("completions/_vistafs", completions(Shell::Zsh)),
        ("completions/vistafs.fish", completions(Shell::Fish)),
    ] {
        let path = contrib().join(name);
        if accepts {
            std::fs::write(&path, &text).unwrap();
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != text {
            stale.push(name);
        }
    }
    assert!(
        stale.is_empty(),
        "{stale:?} in contrib/ are not what they should be: VISTAFS_ACCEPT=1 cargo test -p vistafs documents"
    );
}

#[test]
fn the_manual_has_every_command_and_option() {
    let page = manual().replace("\\-", "-");
    for command in visible(&super::Cli::command()) {
        let head = format!(".SS \"vistafs {}", command.get_name());
        assert!(page.contains(&head), "{head}: {page}");
        for option in command.get_arguments().filter_map(|arg| arg.get_long()) {
            let hidden = command
                .get_arguments()
                .any(|arg| arg.get_long() == Some(option) && arg.is_hide_set());
            assert!(hidden || page.contains(&format!("--{option}")), "{option}");
        }
    }
}

/// The smallest usual terminal.
#[test]
fn help_fits_a_screen() {
    let mut command = super::Cli::command();
    command.build();
    let below = visible(&command).flat_map(|one| std::iter::once(one).chain(visible(one)));
    for one in std::iter::once(&command).chain(below) {
        let help = one.clone().render_help().to_string();
        let widest = help.lines().map(|line| line.chars().count()).max();
        let lines = help.lines().count();
        assert!(
            lines <= 24 && widest <= Some(80),
            "{} has {lines} lines, {widest:?} columns:\n{help}",
            one.get_name()
        );
    }
}
