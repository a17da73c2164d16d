use vistafs_tests::page::block;

use crate::container::{SCRIPT, check};
use crate::service::Service;
use crate::{ARCHIVE, PAGE, require_hosts, run, typed};

#[test]
fn podman_with_the_hook() {
    require_hosts!();
    let service = Service::vistafs();
    let hooks = "/usr/share/containers/oci/hooks.d";
    std::fs::create_dir_all(hooks).unwrap();
    let hook = include_str!("../../../contrib/oci/vistafs.json");
    std::fs::write(format!("{hooks}/vistafs.json"), hook).unwrap();
    let _ = run(&["podman", "load", "--input", ARCHIVE]);
    let line = block(PAGE, "podman", "hook");
    let options = "-i --network none --cpuset-cpus 1";
    check("podman", &service, &mut typed(line, options, SCRIPT));
}
