//! Single fields of the host's `proc/meminfo` that other views need.

use vistafs_text::{ParseError, meminfo};
use vistafs_view::{Context, ViewError};

/// A field in KiB, as bytes.
pub(crate) fn bytes(cx: &Context<'_>, field: &'static str) -> Result<u64, ViewError> {
    const FILE: &str = "proc/meminfo";
    let text = cx.host_text(FILE)?;
    let kib = meminfo::get(&text, field.as_bytes()).ok_or_else(|| ViewError::Host {
        file: FILE,
        source: ParseError::new(field, 1, &text),
    })?;
    Ok(kib.saturating_mul(1024))
}
