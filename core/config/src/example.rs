//! Generates the example with every key: `contrib/vistafs.toml`.

use std::fmt::Write as _;
use std::path::Path;

use vistafs_view::{OptionValue, Registered, ViewSpec};

use super::files::EXAMPLE;
use super::{Config, Entry};

const HEAD: &str = "\
# The configuration of vistafs with all keys, installed as /etc/vistafs/config.toml. Each commented line
# is the default, or an example for a key without one.
# `vistafs config check FILE` validates a file, `vistafs config show` prints all values and their sources.
# `vistafs reload` or SIGHUP applies changes to a running vistafs without interrupting readers.
";

/// Returns the text of the example, with the options of these views.
pub fn example(views: &[Registered]) -> String {
    let mut out = HEAD.to_owned();
    let Ok(config) = Config::parse(Path::new(""), String::new(), false) else {
        return out;
    };
    out.push('\n');
    let mut section = "";
    for entry in &config.entries {
        if entry.section != section {
            section = &entry.section;
            heading(&mut out, section);
        }
        key(&mut out, entry);
        if section == "views" && entry.key == "replace" {
            for view in views.iter().map(|view| view.spec) {
                options(&mut out, view);
            }
        }
    }
    out += EXAMPLE;
    out
}

fn heading(out: &mut String, section: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "\n[{section}]");
}

fn key(out: &mut String, entry: &Entry) {
    let value = entry.value.as_ref().or(entry.sample.as_ref());
    let value = value.map_or("", String::as_str);
    let setting = format!("# {} = {value}", entry.key);
    let _ = writeln!(out, "{setting:<24} # {}", entry.summary);
}

fn options(out: &mut String, view: &ViewSpec) {
    if view.options.is_empty() {
        return;
    }
    heading(out, &format!("view.{}", view.name));
    for option in view.options {
        let setting = format!("# {} = {}", option.name, option.default);
        let range = match (&option.default, &option.range) {
            (OptionValue::Integer(_), Some(range)) => {
                format!(" ({} to {})", range.start(), range.end())
            }
            _ => String::new(),
        };
        let _ = writeln!(out, "{setting:<24} # {}{range}", option.summary);
    }
}
