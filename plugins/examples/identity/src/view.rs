//! The two views.

use std::sync::Arc;

use vistafs_plugin_sdk::view::{
    Context, OptionSpec, OptionValue, Options, Provider, Request, Source, View, ViewError,
    ViewSpec, inventory,
};

use crate::identity::Identity;
use crate::text;

const PATHS: &str = "paths";

const OPTIONS: &[OptionSpec] = &[OptionSpec {
    name: PATHS,
    default: OptionValue::Bool(true),
    range: None,
    summary: "show the paths of its cgroups as the host has them; false shows the last part of the name alone",
}];

const SOURCES: &[Source] = &[
    Source::Controller("memory"),
    Source::Controller("cpu"),
    Source::Controller("cpuacct"),
    Source::Controller("cpuset"),
    Source::Processes,
];

inventory::submit! {
    ViewSpec {
        name: "identity",
        path: "proc/container",
        summary: "the container's name, cgroups, limits and use",
        mode: 0o444,
        on_by_default: true,
        sources: SOURCES,
        options: OPTIONS,
        build: |options| Provider::File(Arc::new(Who::new(options, Form::Text))),
    }
}

inventory::submit! {
    ViewSpec {
        name: "identity-json",
        path: "proc/container.json",
        summary: "the container's name, cgroups, limits and use, as JSON",
        mode: 0o444,
        on_by_default: true,
        sources: SOURCES,
        options: OPTIONS,
        build: |options| Provider::File(Arc::new(Who::new(options, Form::Json))),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
}

#[derive(Debug)]
pub(crate) struct Who {
    form: Form,
    shows_paths: bool,
}

impl Who {
    pub(crate) fn new(options: &Options, form: Form) -> Self {
        Self {
            form,
            shows_paths: options.flag(PATHS),
        }
    }

    /// `None`: no container.
    fn push(&self, identity: Option<&Identity>, out: &mut Vec<u8>) {
        match self.form {
            Form::Text => text::push(identity, out),
            Form::Json => {
                // Strings and numbers in a buffer: there is nothing that could fail.
                let json = serde_json::to_vec_pretty(&identity).unwrap_or_default();
                out.extend_from_slice(&json);
                out.push(b'\n');
            }
        }
    }
}

impl View for Who {
    fn render(&self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        let identity = Identity::of(cx, self.shows_paths)?;
        self.push(Some(&identity), out);
        Ok(())
    }

    fn render_on_host(&self, _: &Request<'_>, out: &mut Vec<u8>) -> Option<Result<(), ViewError>> {
        self.push(None, out);
        Some(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use vistafs_plugin_testing::MadeUp;

    use super::*;

    /// A host whose container has limits.
    fn limited() -> MadeUp {
        let host = MadeUp::v2();
        host.set_memory("268435456", 1_048_576);
        for (name, text) in [
            ("memory.swap.max", "max\n"),
            ("memory.swap.current", "8192\n"),
            ("cpu.max", "150000 100000\n"),
            ("cpu.stat", "usage_usec 3\nuser_usec 1\nsystem_usec 2\n"),
        ] {
            host.write_cgroup("memory", name, text);
        }
        host
    }

    fn who(form: Form) -> Who {
        Who {
            form,
            shows_paths: true,
        }
    }

    #[test]
    fn people_are_told() {
        let text = limited().show(&who(Form::Text)).unwrap();
        for line in [
            "name: /box/app",
            "age: 60 s",
            "cgroup unified (v2): /box/app",
            "memory: 1048576 of 268435456 bytes",
            "swap: 8192 of max bytes",
            "cpus: 2 (0-1)",
            "cpu quota: 1.50",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}: {text}");
        }
    }

    #[test]
    fn programs_are_told_the_same() {
        let text = limited().show(&who(Form::Json)).unwrap();
        let told: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(told["name"], "/box/app");
        assert_eq!(told["age_seconds"], 60);
        let cgroup = json!({"hierarchy": "unified", "version": 2, "path": "/box/app"});
        assert_eq!(told["cgroups"], json!([cgroup]));
        assert_eq!(told["memory"]["limit"], 268_435_456);
        assert_eq!(
            told["swap"],
            json!({"limit": null, "usage": 8192, "with_memory": false})
        );
        assert_eq!(told["cpu"]["quota"], 1.5);
        assert_eq!(told["cpu"]["user_ns"], 1000);
    }

    #[test]
    fn paths_of_the_host_can_be_kept_back() {
        let keeps_back = Who {
            form: Form::Json,
            shows_paths: false,
        };
        let text = limited().show(&keeps_back).unwrap();
        let told: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(told["name"], "app");
        assert!(told["cgroups"].as_array().unwrap().is_empty() && !text.contains("box"));
    }

    #[test]
    fn what_nothing_counts_is_not_made_up() {
        let host = MadeUp::v2();
        let text = host.show(&who(Form::Text)).unwrap();
        assert!(text.contains("\nmemory: not counted\n"), "{text}");
        host.set_memory("no number", 0);
        assert!(host.show(&who(Form::Text)).is_err());
    }

    #[test]
    fn on_the_host_there_is_no_container() {
        for (form, told) in [(Form::Text, "none\n"), (Form::Json, "null\n")] {
            let shown = MadeUp::v2().show_on_host(&who(form));
            assert_eq!(shown.unwrap().unwrap(), told);
        }
    }
}
