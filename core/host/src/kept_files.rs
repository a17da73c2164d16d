//! Files of one directory with cached descriptors, at the cost of a descriptor slot each.
//!
//! Each container has about thirty of them, with the same names. So a static table describes them
//! once, and all containers share the buffer size learned from the longest contents.

use std::sync::Arc;

use crate::Dir;
use crate::kept_file::{Habit, Kept, Shape, Slot};

/// The name of a file in each directory.
#[derive(Debug)]
pub struct FileSpec {
    name: &'static str,
    habit: Habit,
}

impl FileSpec {
    /// A file that is read in this way.
    #[must_use]
    pub const fn new(name: &'static str, shape: Shape) -> Self {
        Self {
            name,
            habit: Habit::new(shape),
        }
    }

    /// A file read in one piece, as most cgroup files.
    #[must_use]
    pub const fn whole(name: &'static str) -> Self {
        Self::new(name, Shape::Whole)
    }
}

/// The files of a table in one directory.
#[derive(Debug)]
pub struct KeptFiles<const N: usize> {
    dir: Arc<Dir>,
    specs: &'static [FileSpec; N],
    slots: [Slot; N],
}

impl<const N: usize> KeptFiles<N> {
    /// Names the files and opens none.
    #[must_use]
    pub fn new(dir: &Arc<Dir>, specs: &'static [FileSpec; N]) -> Self {
        Self {
            dir: Arc::clone(dir),
            specs,
            slots: std::array::from_fn(|_| Slot::default()),
        }
    }

    /// The file at that index in the table.
    ///
    /// # Panics
    /// If the index is beyond the table.
    #[must_use]
    pub fn at(&self, index: usize) -> Kept<'_> {
        let FileSpec { name, habit } = &self.specs[index];
        Kept::new((&self.dir, name), habit, &self.slots[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_text_and_takes_little() {
        static FILES: [FileSpec; 2] = [FileSpec::whole("a"), FileSpec::new("b", Shape::Records)];
        let tmp = tempfile::tempdir().unwrap();
        std::fs::write(tmp.path().join("a"), "one").unwrap();
        std::fs::write(tmp.path().join("b"), "two").unwrap();
        let files = KeptFiles::new(&Arc::new(Dir::open(tmp.path()).unwrap()), &FILES);
        let mut text = Vec::new();
        for _ in 0..2 {
            for (index, expected) in [(0, "one"), (1, "two")] {
                files.at(index).read_required(&mut text).unwrap();
                assert_eq!(text, expected.as_bytes());
            }
        }
        assert_eq!(files.at(1).path(), tmp.path().join("b"));
        assert!(size_of::<Slot>() <= 16);
    }
}
