//! Bounds the number of vistafs's descriptors that one container uses with open files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Open files of one kind of one container.
#[derive(Debug, Default)]
pub(crate) struct Share(AtomicU32);

impl Share {
    /// Maximum number of open files.
    pub(crate) const MOST: u32 = 1024;
}

/// One open file, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted<T: AsRef<Share>>(Arc<T>);

impl<T: AsRef<Share>> Counted<T> {
    /// `None`: the maximum is reached.
    pub(crate) fn new(share: Arc<T>) -> Option<Self> {
        let one_more = |n: u32| (n < Share::MOST).then_some(n + 1);
        let count = &(*share).as_ref().0;
        let counted = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        counted.is_ok().then(|| Self(share))
    }
}

impl<T: AsRef<Share>> Drop for Counted<T> {
    fn drop(&mut self) {
        (*self.0).as_ref().0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Files(Share);

    impl AsRef<Share> for Files {
        fn as_ref(&self) -> &Share {
            &self.0
        }
    }

    #[test]
    fn a_container_has_no_more_than_its_share() {
        let files: Arc<Files> = Arc::default();
        let mut all: Vec<_> = (0..Share::MOST)
            .map(|_| Counted::new(Arc::clone(&files)).unwrap())
            .collect();
        assert!(Counted::new(Arc::clone(&files)).is_none());
        all.pop();
        assert!(Counted::new(Arc::clone(&files)).is_some());
        drop(all);
        assert_eq!(files.0.0.load(Ordering::Relaxed), 0);
    }
}
