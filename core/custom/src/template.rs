//! Templates: `limit {{ memory.limit | mib }} MiB`.
//!
//! Between `{{` and `}}` is the name of a value, optionally with a filter after `|`, or a quoted
//! text for literal braces. Everything else is copied. It has neither conditions nor loops.

use vistafs_view::{ViewError, nearest};

use crate::scene::Scene;
use crate::values::{FILTERS, Filter, VALUES, Value};

#[cfg(test)]
mod tests;

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(&'static Value, Option<Filter>),
}

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct TemplateError {
    /// Line of the text, from 0.
    pub line: usize,
    /// The problem and the remedy.
    pub why: String,
}

impl Template {
    /// Parses a template, so that later only reading values can fail.
    ///
    /// # Errors
    /// Unknown values or filters; unclosed braces.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let line = text[..text.len() - after.len()].matches('\n').count();
            let failed = |why| TemplateError { line, why };
            push_text(&mut pieces, before);
            rest = match quoted(after) {
                Some((quoted, after)) => {
                    push_text(&mut pieces, quoted);
                    after
                }
                None => {
                    let closed = after
                        .split_once("}}")
                        .filter(|(inside, _)| !inside.contains("{{"));
                    let (inside, after) = closed.ok_or_else(|| {
                        failed("`{{` without `}}` (a brace that is meant: {{ \"{{\" }})".into())
                    })?;
                    pieces.push(value(inside).map_err(failed)?);
                    after
                }
            };
        }
        push_text(&mut pieces, rest);
        Ok(Self { pieces })
    }

    /// Appends the template with the values filled in.
    pub(crate) fn render(
        &self,
        scene: &mut Scene<'_, '_>,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Value(value, filter) => value.read(scene)?.push(*filter, out),
            }
        }
        Ok(())
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if let Some(Piece::Text(last)) = pieces.last_mut() {
        last.push_str(text);
    } else if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// `"text" }}`: the text, and the rest of the input.
fn quoted(inside: &str) -> Option<(&str, &str)> {
    let (text, after) = inside.trim_start().strip_prefix('"')?.split_once('"')?;
    Some((text, after.trim_start().strip_prefix("}}")?))
}

/// `memory.limit | mib`
fn value(inside: &str) -> Result<Piece, String> {
    let (name, filter) = match inside.split_once('|') {
        Some((name, filter)) => (name.trim(), Some(filter.trim())),
        None => (inside.trim(), None),
    };
    let unknown = |what: &str, name: &str, known: Vec<&'static str>| {
        let near = nearest(name, known).unwrap_or_default();
        format!(
            "no {what} `{}` (did you mean `{near}`?)",
            name.escape_debug()
        )
    };
    let value = VALUES
        .iter()
        .find(|value| value.name == name)
        .ok_or_else(|| {
            unknown(
                "value",
                name,
                VALUES.iter().map(|value| value.name).collect(),
            )
        })?;
    let Some(filter) = filter else {
        return Ok(Piece::Value(value, None));
    };
    let found = FILTERS.iter().find(|(name, ..)| *name == filter);
    let (_, filter, _) = found.ok_or_else(|| {
        unknown(
            "filter",
            filter,
            FILTERS.iter().map(|(name, ..)| *name).collect(),
        )
    })?;
    if !value.is_bytes {
        return Err(format!("`{name}` is not a byte count and takes no filter"));
    }
    Ok(Piece::Value(value, Some(*filter)))
}
