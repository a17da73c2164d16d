//! Reading of the file, key by key.
//!
//! A section asks for each of its keys with a default and a line for people. So what it asks for of
//! an empty file is the list of all keys, from which the example and `vistafs config show` are made,
//! and what is left over is a mistake. Reading goes on after a mistake, to tell all of them.

use std::fmt::Write as _;

use toml::de::{DeTable, DeValue};

use super::setting::Setting;

/// Where a value is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nobody has set it.
    Default,
    /// This line of the file.
    Line(usize),
}

/// A key, with what holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The table that it is in: `cpus`; empty: none.
    pub section: String,
    /// Its name: `quota`.
    pub key: String,
    /// For people.
    pub summary: String,
    /// The value, as the file has it; `None`: it is left out, which has a meaning of its own.
    pub value: Option<String>,
    /// A value for an example of a key that has none by default.
    pub sample: Option<String>,
    /// Where the value is from.
    pub origin: Origin,
}

/// What cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Of the file, from 1; `None`: of no line in particular.
    pub line: Option<usize>,
    /// Which key, why not, and what would do.
    pub why: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        // A key may have any letters; a mistake is one line.
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
    pub(super) mistakes: Vec<Mistake>,
    known: Vec<&'static str>,
}

impl<'t> Reader<'t> {
    /// Of a text that need not be TOML.
    pub(super) fn new(text: &'t str) -> Self {
        let mut reader = Self {
            text,
            root: DeTable::new(),
            entries: Vec::new(),
            mistakes: Vec::new(),
            known: Vec::new(),
        };
        match DeTable::parse(text) {
            Ok(root) => reader.root = root.into_inner(),
            Err(error) => {
                let why = error.message().lines().collect::<Vec<_>>().join("; ");
                let line = error.span().map(|span| reader.line(span.start));
                reader.mistakes.push(Mistake { line, why });
            }
        }
        reader
    }

    /// The line that a byte is in, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().get(..at);
        let before = before.unwrap_or(self.text.as_bytes());
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// What the file has from a byte on.
    pub(super) fn text_from(&self, at: usize) -> &'t str {
        self.text.get(at..).unwrap_or_default()
    }

    /// Notes a mistake.
    pub(super) fn mistake(&mut self, line: usize, why: String) {
        let line = Some(line);
        self.mistakes.push(Mistake { line, why });
    }

    /// The value of a key that is in no table, or else its default.
    pub(super) fn get<T: Setting>(&mut self, key: &'static str, default: T, summary: &str) -> T {
        let (mut value, mut origin) = (default, Origin::Default);
        if let Some((set, line)) = self.take(key) {
            origin = Origin::Line(line);
            match T::read(&set) {
                Some(set) => value = set,
                None => self.mistake(line, format!("`{key}` takes {}", T::TAKES)),
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

    /// A table of the file, `[name]`; nothing where there is none.
    pub(super) fn section(&mut self, name: &'static str) -> Section<'_, 't> {
        let (table, line) = match self.take(name) {
            Some((DeValue::Table(table), line)) => (table, line),
            Some((_, line)) => {
                self.mistake(line, format!("`{name}` is a table: [{name}]"));
                (DeTable::new(), line)
            }
            None => (DeTable::new(), 1),
        };
        Section::new(self, name.to_owned(), table, line)
    }

    /// A table that has another name now.
    pub(super) fn renamed(&mut self, old: &'static str, now: &str) {
        if let Some((key, _)) = self.root.remove_entry(old) {
            let line = self.line(key.span().start);
            self.mistake(line, format!("`{old}` has another name: {now}"));
        }
    }

    /// The tables below a table of the file, `[name.x]`, with their names.
    pub(super) fn sections(&mut self, name: &'static str) -> Vec<(String, DeTable<'t>, usize)> {
        let tables = match self.take(name) {
            Some((DeValue::Table(tables), _)) => tables,
            Some((_, line)) => {
                self.mistake(line, format!("`{name}` has tables: [{name}.NAME]"));
                return Vec::new();
            }
            None => return Vec::new(),
        };
        let mut found = Vec::new();
        for (key, value) in tables {
            let line = self.line(key.span().start);
            match value.into_inner() {
                DeValue::Table(table) => found.push((key.into_inner().into_owned(), table, line)),
                _ => self.mistake(line, format!("`{name}` has tables: [{name}.NAME]")),
            }
        }
        found
    }

    /// The tables of a list, `[[name]]`.
    pub(super) fn list(&mut self, name: &'static str) -> Vec<(DeTable<'t>, usize)> {
        let tables = match self.take(name) {
            Some((DeValue::Array(tables), _)) => tables,
            Some((_, line)) => {
                self.mistake(line, format!("`{name}` is a list of tables: [[{name}]]"));
                return Vec::new();
            }
            None => return Vec::new(),
        };
        let mut found = Vec::new();
        for value in tables {
            let line = self.line(value.span().start);
            match value.into_inner() {
                DeValue::Table(table) => found.push((table, line)),
                _ => self.mistake(line, format!("`{name}` is a list of tables: [[{name}]]")),
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

    /// What nobody has asked for is a mistake.
    pub(super) fn end(&mut self) {
        let root = std::mem::take(&mut self.root);
        for (key, _) in root {
            let line = self.line(key.span().start);
            let hint = did_you_mean(key.get_ref(), &self.known);
            self.mistake(line, format!("unknown key `{}`{hint}", key.get_ref()));
        }
        self.mistakes.sort_by_key(|mistake| mistake.line);
    }
}

/// A table that is being read.
#[derive(Debug)]
pub(super) struct Section<'r, 't> {
    pub(super) reader: &'r mut Reader<'t>,
    pub(super) name: String,
    /// Where it begins.
    pub(super) line: usize,
    table: DeTable<'t>,
    known: Vec<&'static str>,
}

/// A value that the file has.
pub(super) struct Found<'t> {
    pub(super) value: DeValue<'t>,
    /// Of its key.
    pub(super) line: usize,
    /// Where the value begins, in bytes of the file.
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

    /// The value of a key, or else its default.
    pub(super) fn get<T: Setting>(&mut self, key: &'static str, default: T, summary: &str) -> T {
        let (set, origin) = self.set(key);
        let value = set.unwrap_or(default);
        self.note(key, Some(value.toml()), None, origin, summary);
        value
    }

    /// The value of a key that may be left out. `sample`: a value for an example.
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

    /// The value of a key as the file has it.
    pub(super) fn found(&mut self, key: &'static str) -> Option<Found<'t>> {
        self.known.push(key);
        let (key, value) = self.table.remove_entry(key)?;
        let line = self.reader.line(key.span().start);
        let at = value.span().start;
        let value = value.into_inner();
        Some(Found { value, line, at })
    }

    /// The value of a key that the file may have, and its line.
    pub(super) fn set<T: Setting>(&mut self, key: &'static str) -> (Option<T>, Origin) {
        let Some(found) = self.found(key) else {
            return (None, Origin::Default);
        };
        let value = T::read(&found.value);
        if value.is_none() {
            let name = &self.name;
            let why = format!("`{name}.{key}` takes {}", T::TAKES);
            self.reader.mistake(found.line, why);
        }
        (value, Origin::Line(found.line))
    }

    /// Which keys the file has that were not asked for yet.
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

    /// What nobody has asked for is a mistake.
    pub(super) fn end(mut self) {
        for (key, found) in self.rest() {
            let hint = did_you_mean(&key, &self.known);
            let why = format!("unknown key `{}.{key}`{hint}", self.name);
            self.reader.mistake(found.line, why);
        }
    }
}

fn did_you_mean(wanted: &str, known: &[&'static str]) -> String {
    let nearest = vistafs_view::nearest(wanted, known.iter().copied());
    nearest.map_or_else(String::new, |nearest| {
        format!(" (did you mean `{nearest}`?)")
    })
}
