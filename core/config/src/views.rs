//! `[views]` and `[view.NAME]`: which views serve, and with which options.

use toml::de::DeValue;
use vistafs_view::{OptionError, OptionValue, RegistryError, Selection};

use super::reader::{Origin, Reader, Section};
use super::setting::{Setting, whole};

/// The selection and the options of views. The registry checks the names later; the lines are kept for
/// its errors.
#[derive(Debug, Default)]
pub(super) struct Views {
    pub(super) selection: Selection,
    lines: Vec<(Mention, usize)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Mention {
    View(String),
    Option(String, String),
    Replace,
}

impl Views {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut views = Self::default();
        let mut section = reader.section("views");
        views.selection.enable = views.names(
            &mut section,
            "enable",
            "names of views that are off by default",
        );
        views.selection.disable = views.names(
            &mut section,
            "disable",
            "names of views to disable, such as \"stat\"",
        );
        let (replace, origin) = section.set::<Vec<String>>("replace");
        let replace = replace.unwrap_or_default();
        let summary = "paths of built-in views that a plugin or a file may replace";
        section.note("replace", Some(replace.toml()), None, origin, summary);
        views.selection.replace = replace;
        if let Origin::Line(line) = origin {
            views.lines.push((Mention::Replace, line));
        }
        section.end();
        for (name, table, line) in reader.sections("view") {
            views.lines.push((Mention::View(name.clone()), line));
            let mut section = Section::new(reader, format!("view.{name}"), table, line);
            for (key, found) in section.rest() {
                let value = match &found.value {
                    DeValue::Boolean(value) => Some(OptionValue::Bool(*value)),
                    DeValue::Integer(value) => whole(value).map(OptionValue::Integer),
                    DeValue::String(value) => Some(OptionValue::Text(value.to_string().into())),
                    _ => None,
                };
                let Some(value) = value else {
                    let why =
                        format!("`view.{name}.{key}` takes true, false, a whole number or a text");
                    section.reader.problem(found.line, why);
                    continue;
                };
                let mention = Mention::Option(name.clone(), key.clone());
                views.lines.push((mention, found.line));
                let options = views.selection.options.entry(name.clone()).or_default();
                options.insert(key, value);
            }
            // The registry checks the name of a table without options, too.
            views.selection.options.entry(name).or_default();
        }
        views
    }

    fn names(
        &mut self,
        section: &mut Section<'_, '_>,
        key: &'static str,
        summary: &str,
    ) -> Vec<String> {
        let (names, origin) = section.set::<Vec<String>>(key);
        let names = names.unwrap_or_default();
        section.note(key, Some(names.toml()), None, origin, summary);
        if let Origin::Line(line) = origin {
            let mentions = names.iter().map(|name| Mention::View(name.clone()));
            self.lines.extend(mentions.map(|mention| (mention, line)));
        }
        names
    }

    /// Returns the line that caused an error of the registry.
    pub(super) fn line_of(&self, error: &RegistryError) -> Option<usize> {
        let wanted = match error {
            RegistryError::Unknown { name, .. } => Mention::View(name.clone()),
            RegistryError::Option(
                OptionError::Unknown { view, option, .. }
                | OptionError::Type { view, option, .. }
                | OptionError::Range { view, option, .. },
            ) => Mention::Option((*view).to_string(), option.clone()),
            RegistryError::NothingToReplace(_) => Mention::Replace,
            _ => return None,
        };
        let found = self.lines.iter().find(|(mention, _)| *mention == wanted);
        found.map(|(_, line)| *line)
    }

    /// Returns where an option was set.
    pub(super) fn origin_of(&self, view: &str, option: &str) -> Origin {
        let wanted = Mention::Option(view.to_owned(), option.to_owned());
        let found = self.lines.iter().find(|(mention, _)| *mention == wanted);
        found.map_or(Origin::Default, |(_, line)| Origin::Line(*line))
    }
}
