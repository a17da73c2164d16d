//! A plugin's description of a view, and its checks.

use std::sync::Arc;

use vistafs_plugin_abi as abi;
use vistafs_view::{
    Context, Errno, OptionSpec, OptionValue, Provider, Source, View, ViewError, ViewSpec,
    registration_problem,
};

use crate::table::{Problem, copy, list, text};

/// A plugin's description of one view, as read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the fields are those of the table, which says what they mean"
)]
pub struct Record {
    pub name: String,
    pub path: String,
    pub summary: String,
    pub kind: u32,
    pub mode: u32,
    pub flags: u32,
    pub sources: Vec<String>,
    pub options: Vec<OptionRecord>,
    /// Whether it has the functions required of a file.
    pub renders: bool,
    /// Whether it has the functions required of a tree.
    pub has_tree: bool,
}

/// A plugin's description of one option.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the fields are those of the table, which says what they mean"
)]
pub struct OptionRecord {
    pub name: String,
    pub summary: String,
    pub kind: u32,
    pub number: i64,
    pub text: String,
    pub least: i64,
    pub most: i64,
}

impl Record {
    /// Reads the table of a view.
    ///
    /// # Errors
    /// [`Problem`]: the table cannot be read.
    ///
    /// # Safety
    /// Tables are as large as they state, and texts and lists as long, except null, misaligned or
    /// too long ones.
    pub unsafe fn read(table: *const abi::View) -> Result<Self, Problem> {
        // SAFETY: what the caller promises.
        let view = unsafe { copy(table) }?;
        // SAFETY: as above.
        let sources = unsafe { list(view.sources, view.source_count, "the list of sources") }?;
        // SAFETY: as above.
        let options = unsafe { list(view.options, view.option_count, "the list of options") }?;
        let mut record = Self {
            // SAFETY: as above.
            name: unsafe { text(view.name, "the name of a view") }?,
            // SAFETY: as above.
            path: unsafe { text(view.path, "the path of a view") }?,
            // SAFETY: as above.
            summary: unsafe { text(view.summary, "the summary of a view") }?,
            kind: view.kind,
            mode: view.mode,
            flags: view.flags,
            sources: Vec::new(),
            options: Vec::new(),
            renders: view.render.is_some(),
            has_tree: false,
        };
        for source in sources {
            // SAFETY: as above.
            let source = unsafe { text(*source, "a source of a view") }?;
            record.sources.push(source);
        }
        for option in options {
            // SAFETY: as above.
            let option = unsafe { OptionRecord::read(*option) }?;
            record.options.push(option);
        }
        if !view.tree.is_null() {
            // SAFETY: as above.
            let tree = unsafe { copy(view.tree) }?;
            record.has_tree = tree.lookup.is_some()
                && tree.attributes.is_some()
                && tree.list.is_some()
                && tree.read.is_some();
        }
        Ok(record)
    }

    /// The reason that it cannot be served; `None`: it can.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let Ok(mode) = u16::try_from(self.mode) else {
            return Some("its mode has more than permission bits".into());
        };
        if let Some(problem) = registration_problem(&self.name, &self.path, mode, &self.summary) {
            return Some(problem.to_owned());
        }
        if !self.path.starts_with("proc/") && !self.path.starts_with("sys/") {
            return Some(format!("its path {} is not below proc/ or sys/", self.path));
        }
        match self.kind {
            abi::KIND_FILE if self.renders => {}
            abi::KIND_FILE => return Some("it is a file without a function to render it".into()),
            abi::KIND_TREE if self.has_tree => {}
            abi::KIND_TREE => {
                return Some("it is a tree without functions to look up, list and read".into());
            }
            kind => return Some(format!("its kind is {kind}, which is not known here")),
        }
        let mut names = Vec::new();
        for option in &self.options {
            if let Some(problem) = option.problem() {
                return Some(format!("its option {:?}: {problem}", option.name));
            }
            if names.contains(&&option.name) {
                return Some(format!("it has the option {} twice", option.name));
            }
            names.push(&option.name);
        }
        None
    }

    /// Converts it to a registration, which is never freed: views are created once. Its `build` is
    /// not called.
    pub(crate) fn into_spec(self) -> &'static ViewSpec {
        let mut sources: Vec<Source> = self
            .sources
            .into_iter()
            .map(|source| match source.as_str() {
                "processes" => Source::Processes,
                "hierarchies" => Source::Hierarchies,
                _ => Source::Controller(source.leak()),
            })
            .collect();
        if self.flags & abi::VIEW_NEEDS_HOST_FILE != 0 {
            sources.push(Source::Host);
        }
        let options = self.options.into_iter().map(OptionRecord::into_spec);
        let options: Vec<OptionSpec> = options.collect();
        Box::leak(Box::new(ViewSpec {
            name: self.name.leak(),
            path: self.path.leak(),
            summary: self.summary.leak(),
            mode: u16::try_from(self.mode).unwrap_or(0),
            on_by_default: self.flags & abi::VIEW_OFF_BY_DEFAULT == 0,
            sources: sources.leak(),
            options: options.leak(),
            build: |_| Provider::File(Arc::new(NotBuilt)),
        }))
    }
}

impl OptionRecord {
    /// Reads the table of an option.
    ///
    /// # Safety
    /// As [`Record::read`].
    unsafe fn read(table: *const abi::OptionSpec) -> Result<Self, Problem> {
        // SAFETY: what the caller promises.
        let option = unsafe { copy(table) }?;
        let default = option.default_value;
        Ok(Self {
            // SAFETY: as above.
            name: unsafe { text(option.name, "the name of an option") }?,
            // SAFETY: as above.
            summary: unsafe { text(option.summary, "the summary of an option") }?,
            kind: default.kind,
            number: default.number,
            text: if default.kind == abi::OPTION_TEXT {
                // SAFETY: as above.
                unsafe { text(default.text, "the default of an option") }?
            } else {
                String::new()
            },
            least: option.least,
            most: option.most,
        })
    }

    fn problem(&self) -> Option<&'static str> {
        let name_ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if self.name.is_empty() || !self.name.bytes().all(name_ok) {
            return Some("its name is not of a-z, 0-9 and _");
        }
        if self.summary.is_empty() || self.summary.contains('\n') {
            return Some("its summary is not one line");
        }
        match self.kind {
            abi::OPTION_FLAG | abi::OPTION_TEXT => None,
            abi::OPTION_NUMBER => {
                let bounded = self.least <= self.most;
                let fits = (self.least..=self.most).contains(&self.number);
                (bounded && !fits).then_some("its default is out of its own range")
            }
            _ => Some("its kind is not known here"),
        }
    }

    fn into_spec(self) -> OptionSpec {
        let is_bounded = self.kind == abi::OPTION_NUMBER && self.least <= self.most;
        OptionSpec {
            name: self.name.leak(),
            default: match self.kind {
                abi::OPTION_NUMBER => OptionValue::Integer(self.number),
                abi::OPTION_TEXT => OptionValue::Text(self.text.into()),
                _ => OptionValue::Bool(self.number != 0),
            },
            range: is_bounded.then_some(self.least..=self.most),
            summary: self.summary.leak(),
        }
    }
}

/// External views are already built.
#[derive(Debug)]
struct NotBuilt;

impl View for NotBuilt {
    fn render(&self, _: &mut Context<'_>, _: &mut Vec<u8>) -> Result<(), ViewError> {
        Err(ViewError::Answer(Errno::IO))
    }
}

#[cfg(test)]
mod tests;
