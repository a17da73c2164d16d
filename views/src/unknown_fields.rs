//! Fields of the kernel's files that are new to vistafs.

use vistafs_tables::RcuMap;

/// The fields that were met and are not known.
#[derive(Debug, Default)]
pub(crate) struct UnknownFields(RcuMap<Vec<u8>, (), 1>);

impl UnknownFields {
    /// Says once of each that it is shown as 0.
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
