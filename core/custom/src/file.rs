//! A file that the configuration describes, as a view.

use std::path::Path;
use std::sync::Arc;

use vistafs_view::{Context, Origin, Outside, Provider, Request, View, ViewError, ViewSpec};

use crate::scene::Scene;
use crate::{CgroupFile, Command, HostFile, Template};

/// Contents of the file.
#[derive(Debug)]
pub enum Content {
    /// A text with values filled in.
    Text(Template),
    /// A file of the host.
    Source(HostFile),
    /// A file of the container's own cgroup.
    Cgroup(CgroupFile),
    /// The output of a command.
    Command(Command),
}

/// A file that the configuration describes.
#[derive(Debug)]
pub struct CustomFile {
    content: Content,
}

/// Why a description cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refusal {
    /// Key with the problem.
    pub key: &'static str,
    /// The problem and the remedy.
    pub why: String,
}

impl CustomFile {
    /// Creates a view at `path`, which may begin with `/`. `name`: by default derived from the
    /// path.
    ///
    /// It lives as long as the process: views are created once, at start.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn view(
        name: Option<String>,
        path: &str,
        mode: u16,
        content: Content,
        origin: Origin,
    ) -> Result<Outside, Refusal> {
        let refused = |key, why: &str| {
            Err(Refusal {
                key,
                why: why.to_owned(),
            })
        };
        let path = path.strip_prefix('/').unwrap_or(path);
        let mut parts = path.split('/');
        if !matches!(parts.next(), Some("proc" | "sys")) || parts.clone().next().is_none() {
            return refused(
                "path",
                "`path` is below proc/ or sys/, such as \"proc/site\"",
            );
        }
        if parts.any(|part| matches!(part, "" | "." | "..")) {
            return refused("path", "`path` has an empty part, . or ..");
        }
        if path.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return refused("path", "`path` is of printable ASCII without blanks");
        }
        if mode & !0o444 != 0 || mode == 0 {
            return refused(
                "mode",
                "`mode` lets read and nothing else, such as 0o444 or 0o400",
            );
        }
        let name = name.unwrap_or_else(|| name_of(path));
        let name_ok =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if name.is_empty() || !name.bytes().all(name_ok) {
            return refused("name", "`name` is of a-z, 0-9, - and _");
        }
        let spec = ViewSpec {
            name: name.leak(),
            path: path.to_owned().leak(),
            summary: summary(&content).leak(),
            mode,
            on_by_default: true,
            sources: &[],
            options: &[],
            build: |_| Provider::File(Arc::new(NotBuilt)),
        };
        Ok(Outside {
            spec: Box::leak(Box::new(spec)),
            provider: Provider::File(Arc::new(Self { content })),
            origin,
        })
    }

    fn render(&self, scene: &mut Scene<'_, '_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        match &self.content {
            Content::Text(template) => template.render(scene, out),
            Content::Source(file) => file.render(scene, out),
            Content::Cgroup(file) => file.render(scene, out),
            Content::Command(command) => command.render(scene, out),
        }
    }
}

impl View for CustomFile {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        self.render(&mut Scene::Inside(cx), out)
    }

    fn render_on_host(
        &self,
        request: &Request<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Result<(), ViewError>> {
        Some(self.render(&mut Scene::of_host(request), out))
    }

    fn takes_time(&self) -> bool {
        match &self.content {
            Content::Text(_) | Content::Cgroup(_) => false,
            Content::Source(file) => file.is_slow(),
            Content::Command(_) => true,
        }
    }
}

/// External views are already built.
#[derive(Debug)]
struct NotBuilt;

impl View for NotBuilt {
    fn render(&self, _: &mut Context<'_>, _: &mut Vec<u8>) -> Result<(), ViewError> {
        Err(ViewError::Answer(vistafs_view::Errno::IO))
    }
}

/// `proc/site/info`: `site-info`; `sys/x`: `sys-x`.
fn name_of(path: &str) -> String {
    let path = path.strip_prefix("proc/").unwrap_or(path);
    let letter = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '-' | '_') => c,
        _ => '-',
    };
    path.chars().map(letter).collect()
}

fn summary(content: &Content) -> String {
    let shown = |path: &Path| path.to_string_lossy().escape_debug().to_string();
    match content {
        Content::Text(_) => "a text of the configuration, with values of the container".into(),
        Content::Source(file) => format!("the host's {}", shown(&file.path)),
        Content::Cgroup(_) => "a file of the container's own cgroup".into(),
        Content::Command(command) => {
            let program = command.spec().argv.first();
            format!(
                "what {} prints",
                shown(Path::new(program.map_or("", String::as_str)))
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(name: Option<&str>, path: &str, mode: u16) -> Result<Outside, Refusal> {
        let content = Content::Text(Template::parse("x").unwrap());
        let name = name.map(str::to_owned);
        CustomFile::view(name, path, mode, content, Origin::BuiltIn)
    }

    #[test]
    fn names_are_made_of_paths() {
        for (path, name) in [
            ("proc/site", "site"),
            ("/proc/Site/in.fo", "site-in-fo"),
            ("sys/x_y", "sys-x_y"),
        ] {
            assert_eq!(view(None, path, 0o444).unwrap().spec.name, name);
        }
        assert_eq!(
            view(Some("mine"), "proc/x", 0o440).unwrap().spec.name,
            "mine"
        );
    }

    #[test]
    fn invalid_files_are_refused() {
        for (name, path, mode, key) in [
            (None, "", 0o444, "path"),
            (None, "proc", 0o444, "path"),
            (None, "proc/", 0o444, "path"),
            (None, "proc//x", 0o444, "path"),
            (None, "proc/../x", 0o444, "path"),
            (None, "//proc/x", 0o444, "path"),
            (None, "etc/x", 0o444, "path"),
            (None, "proc/a b", 0o444, "path"),
            (None, "proc/ä", 0o444, "path"),
            (None, "proc/x", 0, "mode"),
            (None, "proc/x", 0o644, "mode"),
            (None, "proc/x", 0o4444, "mode"),
            (Some(""), "proc/x", 0o444, "name"),
            (Some("A"), "proc/x", 0o444, "name"),
        ] {
            let refusal = view(name, path, mode).unwrap_err();
            assert_eq!(refusal.key, key, "{path}");
        }
    }
}
