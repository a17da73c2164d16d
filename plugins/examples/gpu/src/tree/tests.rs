//! A host with three GPUs, and what containers see of them.

use vistafs_plugin_testing::MadeUp;

use super::*;

/// Two of NVIDIA's, of which the first can render as well, and another one.
fn with_gpus(host: MadeUp) -> MadeUp {
    for node in [
        "nvidia0",
        "nvidia1",
        "nvidiactl",
        "dri/renderD128",
        "dri/renderD129",
    ] {
        host.write(format!("dev/{node}"), "");
    }
    let told = "Model: \t Made Up 9000\nDevice Minor: \t 0\nBus Location: \t 0000:0A:00.0\n";
    host.write("proc/driver/nvidia/gpus/0000:0a:00.0/information", told);
    for (name, text) in [
        (
            "renderD128",
            "DRIVER=nvidia\nPCI_ID=10DE:2204\nPCI_SLOT_NAME=0000:0a:00.0\n",
        ),
        (
            "renderD129",
            "DRIVER=amdgpu\nPCI_ID=1002:73BF\nPCI_SLOT_NAME=0000:03:00.0\n",
        ),
    ] {
        host.write(format!("sys/class/drm/{name}/device/uevent"), text);
    }
    host
}

fn gpus(allow: &str, shows_unknown: bool) -> Gpus {
    Gpus {
        root: PathBuf::new(),
        otherwise: Ok(Otherwise {
            rules: Rules::parse(allow).unwrap(),
            shows_unknown,
        }),
    }
}

fn answer<T: std::fmt::Debug>(result: Result<T, ViewError>) -> Errno {
    match result.unwrap_err() {
        ViewError::Answer(errno) => errno,
        other => panic!("{other:?}"),
    }
}

#[test]
fn v1_shows_what_the_kernel_allows() {
    let host = with_gpus(MadeUp::v1(&["devices"]));
    host.write_cgroup("devices", "devices.list", "c 1:3 rwm\nc 195:0 rw\n");
    let gpus = gpus("/** all", true);
    assert_eq!(host.list(&gpus, "").unwrap(), ["nvidia0"]);
    assert_eq!(host.list(&gpus, "nvidia0").unwrap(), ["information"]);
    let text = host.read(&gpus, "nvidia0/information").unwrap();
    assert_eq!(
        text,
        "Name: nvidia0\nNode: /dev/nvidia0 (195:0)\nBus: 0000:0a:00.0\nDriver: nvidia\n\
         ID: 10DE:2204\n\
         Model: \t Made Up 9000\nDevice Minor: \t 0\nBus Location: \t 0000:0A:00.0\n"
    );
    for hidden in [
        "nvidia1",
        "renderD129/information",
        "nvidiactl",
        "nvidia0/x",
    ] {
        assert_eq!(answer(host.read(&gpus, hidden)), Errno::NOENT, "{hidden}");
    }
}

#[test]
fn a_gpu_is_there_by_any_of_its_nodes() {
    let host = with_gpus(MadeUp::v1(&["devices"]));
    host.write_cgroup("devices", "devices.list", "c 226:* rw\n");
    let gpus = gpus("", false);
    assert_eq!(host.list(&gpus, "").unwrap(), ["nvidia0", "renderD129"]);
    let text = host.read(&gpus, "nvidia0/information").unwrap();
    assert!(
        text.contains("Node: /dev/dri/renderD128 (226:128)\n"),
        "{text}"
    );
    assert!(!text.contains("/dev/nvidia0"), "{text}");
}

#[test]
fn a_list_that_cannot_be_understood_is_an_error() {
    let host = with_gpus(MadeUp::v1(&["devices"]));
    assert!(host.list(&gpus("", true), "").is_err());
    host.write_cgroup("devices", "devices.list", "c nonsense\n");
    assert!(host.list(&gpus("", true), "").is_err());
}

#[test]
fn v2_shows_what_the_configuration_allows() {
    let host = with_gpus(MadeUp::v2());
    let shown = |allow, shows_unknown| host.list(&gpus(allow, shows_unknown), "").unwrap();
    assert_eq!(shown("/box/* renderD129", false), ["renderD129"]);
    assert_eq!(shown("/box/other all", true).len(), 3);
    assert!(shown("/box/other all", false).is_empty());
}

#[test]
fn numbers_that_nobody_gave_lead_nowhere() {
    let host = with_gpus(MadeUp::v2());
    let gpus = gpus("/box/* renderD129", false);
    host.request(true, |request| {
        let hidden = Node::Gpu(Device::nvidia(0)).id().unwrap();
        for id in [
            hidden,
            NodeId::new(1).unwrap(),
            NodeId::new((1 << 56) - 1).unwrap(),
        ] {
            assert_eq!(answer(gpus.attributes(request, id)), Errno::STALE);
            let access = Access {
                read: true,
                write: false,
            };
            assert_eq!(answer(gpus.open(request, id, access)), Errno::STALE);
            assert_eq!(
                answer(gpus.read(request, id, &mut Vec::new())),
                Errno::STALE
            );
        }
    });
    host.request(false, |request| {
        assert_eq!(gpus.seen(request).unwrap().len(), 3);
    });
}

#[test]
fn a_host_without_gpus_has_an_empty_directory() {
    assert!(MadeUp::v2().list(&gpus("", true), "").unwrap().is_empty());
}
