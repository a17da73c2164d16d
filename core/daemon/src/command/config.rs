//! `vistafs config`: validates the configuration, and prints its values.

use anyhow::bail;
use serde::Serialize;
use vistafs_view::{OptionSpec, Registered};

use crate::cli::{ConfigAction, ConfigArgs};
use crate::{output, outside};
use vistafs_config::{Config, Entry, Origin, example};

pub(crate) fn config(args: &ConfigArgs, asked: Option<&std::path::Path>) -> anyhow::Result<u8> {
    match &args.action {
        ConfigAction::Check { file } => check(file.as_deref().or(asked)),
        ConfigAction::Show { json } => show(&Config::read(asked)?, *json),
        ConfigAction::Example => {
            // Of all available views, whatever is configured.
            let registry = outside::registry(&Config::of_text(None, String::new())?)?;
            output::print(example(registry.all()).as_bytes())?;
            Ok(0)
        }
    }
}

/// Prints one line per error.
fn check(asked: Option<&std::path::Path>) -> anyhow::Result<u8> {
    let config = match Config::look_at(asked)? {
        Ok(config) => config,
        Err(problems) => {
            let shown =
                asked.map_or_else(Config::default_path, |asked| asked.display().to_string());
            let lines: String = problems.iter().map(|m| format!("{shown}: {m}\n")).collect();
            output::print(lines.as_bytes())?;
            bail!("{shown}: {}", counted(problems.len()));
        }
    };
    outside::registry(&config)?;
    let told = format!("{}: no errors\n", config.path().display());
    output::print(told.as_bytes())?;
    Ok(0)
}

fn counted(problems: usize) -> String {
    match problems {
        1 => "1 error".to_owned(),
        more => format!("{more} errors"),
    }
}

#[derive(Serialize)]
struct Row {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    origin: String,
    summary: String,
}

/// Prints each key with its value and the source of the value.
fn show(config: &Config, json: bool) -> anyhow::Result<u8> {
    let registry = outside::registry(config)?;
    let mut rows: Vec<Row> = config
        .entries()
        .iter()
        .map(|one| row(one, config))
        .collect();
    for view in registry.all() {
        let options = view.spec.options.iter();
        rows.extend(options.map(|option| of_option(view, option, config)));
    }
    let text = if json {
        serde_json::to_string_pretty(&rows)? + "\n"
    } else {
        let cells = |row: &Row| {
            let value = row.value.clone().unwrap_or_else(|| "-".to_owned());
            [
                row.key.clone(),
                value,
                row.origin.clone(),
                row.summary.clone(),
            ]
        };
        output::table(["KEY", "VALUE", "FROM", "MEANING"], rows.iter().map(cells))
    };
    output::print(text.as_bytes())?;
    Ok(0)
}

fn row(entry: &Entry, config: &Config) -> Row {
    Row {
        key: match entry.section.as_str() {
            "" => entry.key.clone(),
            section => format!("{section}.{}", entry.key),
        },
        value: entry.value.clone(),
        origin: from(entry.origin, config),
        summary: entry.summary.clone(),
    }
}

fn of_option(view: &Registered, option: &OptionSpec, config: &Config) -> Row {
    let name = view.spec.name;
    let set = config.selection().options.get(name);
    let set = set.and_then(|options| options.get(option.name));
    Row {
        key: format!("view.{name}.{}", option.name),
        value: Some(set.unwrap_or(&option.default).to_string()),
        origin: from(config.origin_of(name, option.name), config),
        summary: option.summary.to_owned(),
    }
}

fn from(origin: Origin, config: &Config) -> String {
    match origin {
        Origin::Default => "default".to_owned(),
        Origin::Line(line) => format!("{}:{line}", config.path().display()),
    }
}
