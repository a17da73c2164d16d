//! Reads the file key by key.
//!
//! A section requests each of its keys with a default and a summary. The requests on an empty file
//! are the list of all keys: the example and `vistafs config show` are generated from them. Keys that
//! no section has requested are errors. Reading continues after an error, so that all are reported.

use std::fmt::Write as _;

use toml::de::{DeTable, DeValue};

use super::setting::Setting;

/// The source of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is the default.
    Default,
    /// A line of the file, counted from 1.
    Line(usize),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its table, such as `cpus`; empty at the top level.
    pub section: String,
    /// Its name, such as `quota`.
    pub key: String,
    /// A description in one line.
    pub summary: String,
    /// The value in TOML; `None`: it is not set and has no default value.
    pub value: Option<String>,
    /// A value for the example, for a key without a default.
    pub sample: Option<String>,
    /// The source of the value.
    pub origin: Origin,
}

/// An error in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from 1, if it is known.
    pub line: Option<usize>,
    /// The key, the cause and a hint.
    pub why: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        // A key may contain any characters, but an error is one line.
        for letter in self.why.chars() {
            if letter.is_control() {
                write!(f, "{}", letter.escape_debug())?;
            } else {
                f.write_char(letter)?;
            }
        }
        Ok(())
    }
}

/// A file that is being read.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    text: &'t str,
    root: DeTable<'t>,
    pub(super) entries: Vec<Entry>,
    pub(super) problems: Vec<Problem>,
    known: Vec<&'static str>,
}

impl<'t> Reader<'t> {
    /// Creates a reader of any text, which may be invalid TOML.
    pub(super) fn new(text: &'t str) -> Self {
        let mut reader = Self {
            text,
            root: DeTable::new(),
            entries: Vec::new(),
            problems: Vec::new(),
            known: Vec::new(),
        };
        match DeTable::parse(text) {
            Ok(root) => reader.root = root.into_inner(),
            Err(error) => {
                let why = error.message().lines().collect::<Vec<_>>().join("; ");
                let line = error.span().map(|span| reader.line(span.start));
                reader.problems.push(Problem { line, why });
            }
        }
        reader
    }

    /// Returns the line of a byte, counted from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().get(..at);
        let before = before.unwrap_or(self.text.as_bytes());
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// Returns the text from a byte on.
    pub(super) fn text_from(&self, at: usize) -> &'t str {
        self.text.get(at..).unwrap_or_default()
    }

    /// Records an error.
    pub(super) fn problem(&mut self, line: usize, why: String) {
        let line = Some(line);
        self.problems.push(Problem { line, why });
    }

    /// Returns the value of a top-level key, or its default.
    pub(super) fn get<T: Setting>(&mut self, key: &'static str, default: T, summary: &str) -> T {
        let (mut value, mut origin) = (default, Origin::Default);
        if let Some((set, line)) = self.take(key) {
            origin = Origin::Line(line);
            match T::read(&set) {
                Some(set) => value = set,
                None => self.problem(line, format!("`{key}` takes {}", T::TAKES)),
            }
        }
        self.entries.push(Entry {
            section: String::new(),
            key: key.to_owned(),
            summary: summary.to_owned(),
            value: Some(value.toml()),
            sample: None,
            origin,
        });
        value
    }

    /// Returns the table `[name]`; empty if it is missing.
    pub(super) fn section(&mut self, name: &'static str) -> Section<'_, 't> {
        let (table, line) = match self.take(name) {
            Some((DeValue::Table(table), line)) => (table, line),
            Some((_, line)) => {
                self.problem(line, format!("`{name}` is a table: [{name}]"));
                (DeTable::new(), line)
            }
            None => (DeTable::new(), 1),
        };
        Section::new(self, name.to_owned(), table, line)
    }

    /// Reports a table under its former name.
    pub(super) fn renamed(&mut self, old: &'static str, now: &str) {
        if let Some((key, _)) = self.root.remove_entry(old) {
            let line = self.line(key.span().start);
            self.problem(line, format!("`{old}` was renamed: {now}"));
        }
    }

    /// Returns the tables `[name.x]` with their names and lines.
    pub(super) fn sections(&mut self, name: &'static str) -> Vec<(String, DeTable<'t>, usize)> {
        let tables = match self.take(name) {
            Some((DeValue::Table(tables), _)) => tables,
            Some((_, line)) => {
                self.problem(line, format!("`{name}` has tables: [{name}.NAME]"));
                return Vec::new();
            }
            None => return Vec::new(),
        };
        let mut found = Vec::new();
        for (key, value) in tables {
            let line = self.line(key.span().start);
            match value.into_inner() {
                DeValue::Table(table) => found.push((key.into_inner().into_owned(), table, line)),
                _ => self.problem(line, format!("`{name}` has tables: [{name}.NAME]")),
            }
        }
        found
    }

    /// Returns the tables `[[name]]` with their lines.
    pub(super) fn list(&mut self, name: &'static str) -> Vec<(DeTable<'t>, usize)> {
        let tables = match self.take(name) {
            Some((DeValue::Array(tables), _)) => tables,
            Some((_, line)) => {
                self.problem(line, format!("`{name}` is a list of tables: [[{name}]]"));
                return Vec::new();
            }
            None => return Vec::new(),
        };
        let mut found = Vec::new();
        for value in tables {
            let line = self.line(value.span().start);
            match value.into_inner() {
                DeValue::Table(table) => found.push((table, line)),
                _ => self.problem(line, format!("`{name}` is a list of tables: [[{name}]]")),
            }
        }
        found
    }

    fn take(&mut self, name: &'static str) -> Option<(DeValue<'t>, usize)> {
        self.known.push(name);
        let (key, value) = self.root.remove_entry(name)?;
        let line = self.line(key.span().start);
        Some((value.into_inner(), line))
    }

    /// Reports the remaining tables as unknown.
    pub(super) fn end(&mut self) {
        let root = std::mem::take(&mut self.root);
        for (key, _) in root {
            let line = self.line(key.span().start);
            let hint = did_you_mean(key.get_ref(), &self.known);
            self.problem(line, format!("unknown key `{}`{hint}", key.get_ref()));
        }
        self.problems.sort_by_key(|problem| problem.line);
    }
}

/// A table that is being read.
#[derive(Debug)]
pub(super) struct Section<'r, 't> {
    pub(super) reader: &'r mut Reader<'t>,
    pub(super) name: String,
    /// Its first line.
    pub(super) line: usize,
    table: DeTable<'t>,
    known: Vec<&'static str>,
}

/// A value in the file.
pub(super) struct Found<'t> {
    pub(super) value: DeValue<'t>,
    /// The line of its key.
    pub(super) line: usize,
    /// The offset of the value in the file, in bytes.
    pub(super) at: usize,
}

impl<'r, 't> Section<'r, 't> {
    pub(super) fn new(
        reader: &'r mut Reader<'t>,
        name: String,
        table: DeTable<'t>,
        line: usize,
    ) -> Self {
        Self {
            reader,
            name,
            line,
            table,
            known: Vec::new(),
        }
    }

    /// Returns the value of a key, or its default.
    pub(super) fn get<T: Setting>(&mut self, key: &'static str, default: T, summary: &str) -> T {
        let (set, origin) = self.set(key);
        let value = set.unwrap_or(default);
        self.note(key, Some(value.toml()), None, origin, summary);
        value
    }

    /// Returns the value of a key without a default. `sample`: a value for the example.
    pub(super) fn optional<T: Setting>(
        &mut self,
        key: &'static str,
        sample: &T,
        summary: &str,
    ) -> Option<T> {
        let (set, origin) = self.set(key);
        let value = set.as_ref().map(T::toml);
        self.note(key, value, Some(sample.toml()), origin, summary);
        set
    }

    /// Returns the unparsed value of a key.
    pub(super) fn found(&mut self, key: &'static str) -> Option<Found<'t>> {
        self.known.push(key);
        let (key, value) = self.table.remove_entry(key)?;
        let line = self.reader.line(key.span().start);
        let at = value.span().start;
        let value = value.into_inner();
        Some(Found { value, line, at })
    }

    /// Returns the value of a key and its line, if the file has it.
    pub(super) fn set<T: Setting>(&mut self, key: &'static str) -> (Option<T>, Origin) {
        let Some(found) = self.found(key) else {
            return (None, Origin::Default);
        };
        let value = T::read(&found.value);
        if value.is_none() {
            let name = &self.name;
            let why = format!("`{name}.{key}` takes {}", T::TAKES);
            self.reader.problem(found.line, why);
        }
        (value, Origin::Line(found.line))
    }

    /// Returns the keys that were not requested yet.
    pub(super) fn rest(&mut self) -> Vec<(String, Found<'t>)> {
        let table = std::mem::take(&mut self.table);
        let found = table.into_iter().map(|(key, value)| {
            let line = self.reader.line(key.span().start);
            let at = value.span().start;
            let value = value.into_inner();
            (key.into_inner().into_owned(), Found { value, line, at })
        });
        found.collect()
    }

    pub(super) fn note(
        &mut self,
        key: &str,
        value: Option<String>,
        sample: Option<String>,
        origin: Origin,
        summary: &str,
    ) {
        self.reader.entries.push(Entry {
            section: self.name.clone(),
            key: key.to_owned(),
            summary: summary.to_owned(),
            value,
            sample,
            origin,
        });
    }

    /// Reports a key under its former name.
    pub(super) fn renamed(&mut self, old: &'static str, now: &str) {
        if let Some((key, _)) = self.table.remove_entry(old) {
            let line = self.reader.line(key.span().start);
            let why = format!("`{}.{old}` was renamed: `{now}`", self.name);
            self.reader.problem(line, why);
        }
    }

    /// Reports the remaining keys as unknown.
    pub(super) fn end(mut self) {
        for (key, found) in self.rest() {
            let hint = did_you_mean(&key, &self.known);
            let why = format!("unknown key `{}.{key}`{hint}", self.name);
            self.reader.problem(found.line, why);
        }
    }
}

fn did_you_mean(wanted: &str, known: &[&'static str]) -> String {
    let nearest = vistafs_view::nearest(wanted, known.iter().copied());
    nearest.map_or_else(String::new, |nearest| {
        format!(" (did you mean `{nearest}`?)")
    })
}
