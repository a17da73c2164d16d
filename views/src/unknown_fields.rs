//! Unknown fields of the kernel's files.

use vistafs_tables::RcuMap;

/// Unknown fields seen so far.
#[derive(Debug, Default)]
pub(crate) struct UnknownFields(RcuMap<Vec<u8>, (), 1>);

impl UnknownFields {
    /// Logs once per field that it is shown as 0.
    pub(crate) fn note(&self, file: &str, key: &[u8]) {
        if self.0.get(key).is_none() && self.0.insert_if(key.to_vec(), (), |known| known.is_none())
        {
            log::warn!(
                "the kernel's {file} has a field {:?} that is new to vistafs; containers are shown 0 \
                 (please report it)",
                String::from_utf8_lossy(key)
            );
        }
    }
}
