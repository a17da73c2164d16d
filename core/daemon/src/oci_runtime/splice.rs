//! Adds a hook to config.json without changing another byte.
//!
//! Unknown fields, numbers of any size and the order of fields stay as the engine wrote them: the text is
//! cut at one place, and the hook is inserted.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The annotation by which a container opts in or out.
const ANNOTATION: &str = "dev.vistafs";
const VIEWS: &str = "dev.vistafs.views";

/// The annotations of a container.
#[derive(Debug, Deserialize)]
pub(super) struct Annotations {
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

type Object<'t> = BTreeMap<String, &'t RawValue>;

/// The reason why a hook cannot be added.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpliceError {
    /// It is not JSON, or does not match the specification.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A duplicate field, of which parsers use different ones.
    #[error("the field hooks or createContainer is there twice")]
    Twice,
}

impl Annotations {
    pub(super) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// Returns whether the container has opted out.
    pub(super) fn opts_out(&self) -> bool {
        self.get(ANNOTATION)
            .is_some_and(vistafs_attach::oci::is_opt_out)
    }

    /// Returns the names of the requested views; `None`: all.
    pub(super) fn views(&self) -> Option<&str> {
        self.get(VIEWS).filter(|names| !names.trim().is_empty())
    }
}

/// Returns whether it has a hook of vistafs already.
pub(super) fn has_hook(text: &str) -> bool {
    let Ok(config) = serde_json::from_str::<Object<'_>>(text) else {
        return false;
    };
    hooks(&config)
        .and_then(|hooks| hooks.get("createContainer").copied())
        .and_then(|list| serde_json::from_str::<Vec<Hook>>(list.get()).ok())
        .is_some_and(|list| list.iter().any(Hook::is_ours))
}

#[derive(Deserialize)]
struct Hook {
    #[serde(default)]
    args: Vec<String>,
}

impl Hook {
    fn is_ours(&self) -> bool {
        let program = self.args.first().map(std::path::Path::new);
        program.and_then(|path| path.file_name()) == Some("vistafs".as_ref())
            && self.args.iter().any(|word| word == "oci-hook")
    }
}

fn hooks<'t>(config: &Object<'t>) -> Option<Object<'t>> {
    serde_json::from_str(config.get("hooks")?.get()).ok()
}

/// Returns the text with a createContainer hook appended.
pub(super) fn with_hook(text: &str, hook: &str) -> Result<String, SpliceError> {
    let config: Object<'_> = serde_json::from_str(text)?;
    let is_null = |value: &&RawValue| value.get() == "null";
    let whole = (text, text);
    let (at, old, new) = match config.get("hooks").copied() {
        None => insertion(
            whole,
            config.is_empty(),
            &format!(r#""hooks":{{"createContainer":[{hook}]}}"#),
        ),
        Some(hooks) if is_null(&hooks) => {
            replacement(text, hooks, &format!(r#"{{"createContainer":[{hook}]}}"#))
        }
        Some(hooks) => {
            let kinds: Object<'_> = serde_json::from_str(hooks.get())?;
            match kinds.get("createContainer").copied() {
                None => insertion(
                    (text, hooks.get()),
                    kinds.is_empty(),
                    &format!(r#""createContainer":[{hook}]"#),
                ),
                Some(list) if is_null(&list) => replacement(text, list, &format!("[{hook}]")),
                Some(list) => {
                    let known: Vec<&RawValue> = serde_json::from_str(list.get())?;
                    insertion((text, list.get()), known.is_empty(), hook)
                }
            }
        }
    };
    let (Some(before), Some(after)) = (text.get(..at), text.get(at + old..)) else {
        return Err(SpliceError::Twice);
    };
    let changed = format!("{before}{new}{after}");
    serde_json::from_str::<Object<'_>>(&changed)?;
    if changed.matches("\"createContainer\"").count() > 1 {
        return Err(SpliceError::Twice);
    }
    Ok(changed)
}

/// Inserts at the end of an object or list: position, removed length, inserted text.
fn insertion((text, value): (&str, &str), is_empty: bool, new: &str) -> (usize, usize, String) {
    let end = offset(text, value) + value.trim_end().len() - 1;
    let comma = if is_empty { "" } else { "," };
    (end, 0, format!("{comma}{new}"))
}

/// Replaces a value.
fn replacement(text: &str, value: &RawValue, new: &str) -> (usize, usize, String) {
    let value = value.get();
    (offset(text, value), value.len(), new.to_owned())
}

/// Returns the offset of a part of a text.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr().addr() - text.as_ptr().addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOOK: &str = r#"{"path":"/v","args":["vistafs","oci-hook"]}"#;

    #[test]
    fn nothing_but_the_hook_is_changed() {
        let created = r#""createContainer":[HOOK]"#;
        for (before, after) in [
            (r#"{}"#, r#"{"hooks":{CREATED}}"#),
            (
                "{ \"b\": 18446744073709551616, \"a\":1.50 ,\n\"x\":{\"\\u0061\":[ ]} }\n",
                "{ \"b\": 18446744073709551616, \"a\":1.50 ,\n\"x\":{\"\\u0061\":[ ]} ,\"hooks\":{CREATED}}\n",
            ),
            (
                r#"{"hooks": null, "z": 1}"#,
                r#"{"hooks": {CREATED}, "z": 1}"#,
            ),
            (
                r#"{"hooks": { }, "z": 1}"#,
                r#"{"hooks": { CREATED}, "z": 1}"#,
            ),
            (
                r#"{"hooks":{"prestart":[{"path":"/p"}]}}"#,
                r#"{"hooks":{"prestart":[{"path":"/p"}],CREATED}}"#,
            ),
            (
                r#"{"hooks":{"createContainer":null}}"#,
                r#"{"hooks":{CREATED}}"#,
            ),
            (
                r#"{"hooks":{"createContainer":[ ]}}"#,
                r#"{"hooks":{"createContainer":[ HOOK]}}"#,
            ),
            (
                r#"{"hooks":{"createContainer":[{"path":"]"}]},"q":"}"}"#,
                r#"{"hooks":{"createContainer":[{"path":"]"},HOOK]},"q":"}"}"#,
            ),
        ] {
            let after = after.replace("CREATED", created).replace("HOOK", HOOK);
            let changed = with_hook(before, HOOK).unwrap();
            assert_eq!(changed, after);
            assert!(has_hook(&changed) && !has_hook(before), "{before}");
        }
    }

    #[test]
    fn what_is_no_configuration_is_left_alone() {
        for bad in [
            "",
            "[]",
            "{",
            r#"{"hooks":[]}"#,
            r#"{"hooks":{"createContainer":{}}}"#,
        ] {
            assert!(with_hook(bad, HOOK).is_err(), "{bad}");
            assert!(!has_hook(bad));
        }
        let twice = r#"{"hooks":{"createContainer":[]},"hooks":{}}"#;
        assert!(with_hook(twice, HOOK).is_err());
    }

    #[test]
    fn annotations_of_containers() {
        let parse = |text: &str| Annotations::parse(text).unwrap();
        assert!(parse(r#"{"annotations":{"dev.vistafs":"false"}}"#).opts_out());
        assert!(!parse(r#"{"annotations":{"dev.vistafs":"true"}}"#).opts_out());
        assert!(!parse(r#"{"annotations":null}"#).opts_out());
        let views = r#"{"annotations":{"dev.vistafs.views":"meminfo,stat"}}"#;
        assert_eq!(parse(views).views(), Some("meminfo,stat"));
        assert_eq!(parse("{}").views(), None);
    }
}
