//! `cargo xtask header`: generates the C header for plugins from `plugins/abi`.

use std::collections::HashMap;
use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};
use cbindgen::{Builder, Config, DocumentationStyle, EnumConfig, Language, Style};
use clap::Args;

use crate::run;

const HEADER: &str = "plugins/abi/include/vistafs_plugin.h";

/// Makes the header of plugins for C.
#[derive(Args)]
pub(crate) struct HeaderArgs;

impl HeaderArgs {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let path = run::workspace().join(HEADER);
        fs::write(&path, text()?).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Names in Rust and in C, where all libraries share one name space.
const TABLES: &[(&str, &str)] = &[
    ("Caller", "vistafs_caller"),
    ("Cgroup", "vistafs_cgroup"),
    ("Change", "vistafs_change"),
    ("Channel", "vistafs_channel"),
    ("ChannelFunctions", "vistafs_channel_functions"),
    ("Container", "vistafs_container"),
    ("Context", "vistafs_context"),
    ("Cpu", "vistafs_cpu"),
    ("Host", "vistafs_host"),
    ("HostFacts", "vistafs_host_facts"),
    ("Listing", "vistafs_listing"),
    ("Loaded", "vistafs_loaded"),
    ("Memory", "vistafs_memory"),
    ("Node", "vistafs_node"),
    ("OptionSpec", "vistafs_option_spec"),
    ("OptionValue", "vistafs_option_value"),
    ("Plugin", "vistafs_plugin_table"),
    ("Settings", "vistafs_settings"),
    ("Sink", "vistafs_sink"),
    ("Str", "vistafs_str"),
    ("Tasks", "vistafs_tasks"),
    ("Tree", "vistafs_tree"),
    ("View", "vistafs_view"),
];

const HEAD: &str = "\
/* The tables that vistafs and a plugin give each other.
 *
 * A plugin is a shared object that exports one function:
 *
 *     const struct vistafs_plugin_table *vistafs_plugin(const struct vistafs_host *host);
 *
 * Made from plugins/abi by `cargo xtask header`; what is promised is in PLUGIN_ABI.md.
 */";

const TAIL: &str = "\
#ifdef __cplusplus
extern \"C\" {
#endif
/* What a plugin exports. */
const struct vistafs_plugin_table *vistafs_plugin(const struct vistafs_host *host);
#ifdef __cplusplus
}
#endif";

fn text() -> Result<String> {
    let mut config = Config {
        language: Language::C,
        style: Style::Tag,
        include_guard: Some("VISTAFS_PLUGIN_H".into()),
        no_includes: true,
        sys_includes: vec!["stddef.h".into(), "stdint.h".into()],
        header: Some(HEAD.into()),
        trailer: Some(TAIL.into()),
        documentation_style: DocumentationStyle::C,
        cpp_compat: true,
        usize_is_size_t: true,
        enumeration: EnumConfig::default(),
        ..Config::default()
    };
    let tables = TABLES.iter();
    let renamed = tables.map(|(rust, c)| ((*rust).to_owned(), (*c).to_owned()));
    config.export.rename = renamed.collect::<HashMap<_, _>>();
    config.export.include = TABLES.iter().map(|(rust, _)| (*rust).to_owned()).collect();
    config.export.exclude = vec!["Entry".into(), "ENTRY".into()];
    config.constant.allow_static_const = false;
    let bindings = Builder::new()
        .with_crate(run::workspace().join("plugins/abi"))
        .with_config(config)
        .generate()
        .context("the header cannot be made")?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    // Opaque types have no size in C either.
    let text = String::from_utf8(text)?.replace(" {\n  uint8_t _opaque[0];\n}", "");
    // Constants share that name space, too.
    let named = |line: &str| match line.strip_prefix("#define ") {
        Some(rest) if !rest.starts_with("VISTAFS_") => format!("#define VISTAFS_{rest}\n"),
        _ => format!("{line}\n"),
    };
    Ok(text.lines().map(named).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_that_of_the_crate() {
        let path = run::workspace().join(HEADER);
        let kept = fs::read_to_string(&path).unwrap();
        assert!(kept == text().unwrap(), "cargo xtask header generates it");
    }
}
