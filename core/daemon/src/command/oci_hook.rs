//! `vistafs oci-hook`: binds the views into a container that an OCI runtime is about to start.

use std::io::Read as _;

use anyhow::{Context as _, bail};

use crate::bindings;
use crate::cli::{HookArgs, OciHookArgs};
use vistafs_attach::Binding;
use vistafs_attach::oci::{self, Sources, State};
use vistafs_config::Config;
use vistafs_supervisor::error_text::in_one_line;

/// A state has a few hundred bytes, and annotations.
const LONGEST_STATE: u64 = 1 << 20;

pub(crate) fn oci_hook(args: &OciHookArgs, config: &Config) -> anyhow::Result<u8> {
    args.hook.report(bind(&args.hook, config))
}

impl HookArgs {
    /// Where the views are bound from.
    pub(super) fn sources(&self) -> anyhow::Result<Sources> {
        Ok(Sources::new(
            &self.mount.path()?,
            self.page_cache.as_deref(),
        )?)
    }

    /// The views that are asked for.
    pub(super) fn bindings(&self, config: &Config) -> anyhow::Result<Vec<Binding>> {
        let mut bindings = bindings::all(config)?;
        if !self.only.is_empty() {
            bindings.retain(|binding| self.only.iter().any(|name| name == binding.name));
        }
        Ok(bindings)
    }

    /// 0 as well when vistafs does not serve: a container without it is better than none, unless
    /// `--required` says otherwise.
    pub(super) fn report(&self, bound: anyhow::Result<()>) -> anyhow::Result<u8> {
        match bound {
            Err(error) if !self.required => {
                log::warn!(
                    "the container sees the host's files: {}",
                    in_one_line(&error)
                );
                Ok(0)
            }
            bound => bound.map(|()| 0),
        }
    }
}

fn bind(args: &HookArgs, config: &Config) -> anyhow::Result<()> {
    let mut text = Vec::new();
    let read = std::io::stdin()
        .take(LONGEST_STATE + 1)
        .read_to_end(&mut text);
    read.context("cannot read the container's state from standard input (runtimes start this as a hook; by hand: < state.json)")?;
    if text.len() as u64 > LONGEST_STATE {
        bail!("the container's state is longer than {LONGEST_STATE} bytes");
    }
    let state = State::parse(&text)?;
    if state.opts_out() {
        return Ok(());
    }
    let root = oci::open_root(&state.bundle)?;
    oci::bind_all(&args.sources()?, &root, &args.bindings(config)?)?;
    Ok(())
}
