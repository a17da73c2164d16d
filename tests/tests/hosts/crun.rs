use serde_json::json;
use vistafs_tests::bundle::Bundle;

use crate::container::{SCRIPT, check};
use crate::require_hosts;
use crate::service::Service;

#[test]
fn crun_with_the_hook() {
    require_hosts!();
    let service = Service::vistafs();
    let mut bundle = Bundle::new(SCRIPT);
    let resources = &mut bundle.config["linux"]["resources"];
    resources["memory"]["limit"] = (256 << 20).into();
    resources["cpu"] = json!({"cpus": "1"});
    bundle.config["hooks"] = json!({"createContainer": [
        {"path": "/usr/bin/vistafs", "args": ["vistafs", "oci-hook", "--required"], "timeout": 120},
    ]});
    check("crun", &service, &mut bundle.command("crun"));
}
