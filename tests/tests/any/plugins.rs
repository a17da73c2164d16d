//! A built-in view as a plugin shows captured hosts as the built-in one does, byte for byte.

use std::path::Path;
use std::time::Duration;

use vistafs_plugin_host::{Limits, Rules, Watch, load};
use vistafs_tests::plugins::Plugins;
use vistafs_view::{Provider, Selection};

use crate::captured::fixtures;

struct Nobody;

impl Watch for Nobody {
    fn before(&self, _: &Path, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn after(&self) {}
}

#[test]
fn meminfo_of_captured_hosts_is_the_same() {
    let plugins = Plugins::with(&["meminfo"]);
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
    let [view] = &found.views[..] else {
        panic!("{found:?}");
    };
    let Provider::File(view) = &view.provider else {
        panic!("{view:?}");
    };
    for (name, host) in fixtures() {
        let mut scratch = Vec::new();
        let mut request = host.request(&mut scratch);
        let mut shown = Vec::new();
        let mut cx = request.context().unwrap();
        view.render(&mut cx, &mut shown).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(shown, host.show("proc/meminfo"), "{name}");
    }
}
