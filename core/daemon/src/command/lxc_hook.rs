//! `vistafs lxc-hook`: binds the views into a container that LXC is about to start.
//!
//! LXC runs it as `lxc.hook.mount`, in the container's namespaces, when what the configuration mounts
//! is mounted below the root file system and that is not the root yet (lxc.container.conf(5)). So who
//! looks up the views is in the container, as with `vistafs oci-hook`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::cli::LxcHookArgs;
use vistafs_attach::oci;
use vistafs_config::Config;

/// Where LXC says the root file system is.
const ROOT: &str = "LXC_ROOTFS_MOUNT";

pub(crate) fn lxc_hook(args: &LxcHookArgs, config: &Config) -> anyhow::Result<u8> {
    log::debug!("as LXC tells: {:?}", args.told);
    args.hook.report(root().and_then(|root| {
        let root = oci::open_directory(&root)?;
        oci::bind_all(&args.hook.sources()?, &root, &args.hook.bindings(config)?)?;
        Ok(())
    }))
}

fn root() -> anyhow::Result<PathBuf> {
    let root = std::env::var_os(ROOT).with_context(|| {
        format!(
            "{ROOT} is not set: LXC runs this, by lxc.hook.mount in a container's configuration"
        )
    })?;
    if !Path::new(&root).is_absolute() {
        bail!("{ROOT} is not an absolute path");
    }
    Ok(root.into())
}
