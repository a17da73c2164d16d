//! Plugins loaded by the test process: a built-in view, loaded as a plugin, renders captured hosts byte for
//! byte like the linked one, and the example of PLUGIN_ABI.md works.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use vistafs_plugin_host::{Limits, Rules, Watch, load};
use vistafs_tests::plugins::Plugins;
use vistafs_view::{Provider, Selection, View};

use crate::captured::{Captured, fixtures, workspace};

struct Nobody;

impl Watch for Nobody {
    fn before(&self, _: &Path, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn after(&self) {}
}

/// The view that the only plugin of a directory provides.
fn only_view(plugins: &Plugins) -> Arc<dyn View> {
    let rules = Rules {
        owner: nix::unistd::geteuid().as_raw(),
        limits: Limits {
            timeout: Duration::from_secs(60),
            most_text: 1 << 20,
        },
        selection: &Selection::default(),
        watch: &Nobody,
    };
    let found = load(&[plugins.path().to_owned()], &rules);
    assert_eq!(found.refused, []);
    match &found.views[..] {
        [view] => match &view.provider {
            Provider::File(view) => Arc::clone(view),
            other => panic!("{other:?}"),
        },
        others => panic!("{others:?}"),
    }
}

fn shown(view: &dyn View, host: &Captured) -> String {
    let mut scratch = Vec::new();
    let mut request = host.request(&mut scratch);
    let mut text = Vec::new();
    view.render(&mut request.context().unwrap(), &mut text)
        .unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn meminfo_of_captured_hosts_is_the_same() {
    let view = only_view(&Plugins::with(&["meminfo"]));
    for (name, host) in fixtures() {
        assert_eq!(shown(&*view, &host), host.show("proc/meminfo"), "{name}");
    }
}

/// Compiles a C text with the compiler that also links Rust programs.
fn compile(language: &str, text: &str, flags: &[&str], to: &Path) {
    let from = to.with_extension("source");
    std::fs::write(&from, text).unwrap();
    let compiled = Command::new("cc")
        .args(["-x", language, "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(workspace().join("plugins/abi/include"))
        .args(flags)
        .arg("-o")
        .args([to, &from])
        .output()
        .unwrap();
    let messages = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{messages}");
}

#[test]
fn the_example_of_the_document() {
    let page = std::fs::read_to_string(workspace().join("contrib/doc/PLUGIN_ABI.md")).unwrap();
    let example = page.split("```c\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    let built = tempfile::tempdir().unwrap();
    let library = built.path().join("hello.so");
    compile("c", example, &["-shared", "-fPIC"], &library);
    let plugins = Plugins::new();
    plugins.put_bytes(&std::fs::read(&library).unwrap(), "hello.so");
    let view = only_view(&plugins);
    for (_, host) in fixtures() {
        let name = host.container.path();
        let expected = format!("hello, {}\n", name.display());
        assert_eq!(shown(&*view, &host), expected);
    }
}

#[test]
fn the_header_is_strict_c_and_cxx() {
    let built = tempfile::tempdir().unwrap();
    let object = built.path().join("o");
    let text = "#include \"vistafs_plugin.h\"\n";
    compile("c", text, &["-std=c99", "-pedantic", "-c"], &object);
    // Rust needs no C++ compiler, so it may be missing.
    if vistafs_tests::require::program("g++") {
        compile("c++", text, &["-std=c++11", "-pedantic", "-c"], &object);
    }
}
