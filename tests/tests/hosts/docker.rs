use vistafs_tests::page::block;

use crate::container::{SCRIPT, check};
use crate::service::{Service, start};
use crate::{ARCHIVE, PAGE, make_cdi_devices, require_hosts, run, typed};

#[test]
fn docker_with_its_options_and_with_cdi() {
    require_hosts!();
    let service = Service::vistafs();
    start("docker");
    let _ = run(&["docker", "load", "--input", ARCHIVE]);
    let line = block(PAGE, "podman", "docker-args");
    check("docker", &service, &mut typed(line, "-i --cpus 1", SCRIPT));

    make_cdi_devices();
    let line = block(PAGE, "podman", "cdi").replace("podman run", "docker run");
    check(
        "docker with CDI",
        &service,
        &mut typed(&line, "-i --cpuset-cpus 1", SCRIPT),
    );
}
