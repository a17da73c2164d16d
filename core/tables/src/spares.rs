//! Spare allocations for reuse, so that data that lives for one read allocates nothing.

use crossbeam_queue::ArrayQueue;

/// A bounded list of unused allocations.
#[derive(Debug)]
pub struct Spares<T>(ArrayQueue<T>);

impl<T> Spares<T> {
    /// Holds at most `most` allocations, and at least one.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self(ArrayQueue::new(most.max(1)))
    }

    /// Takes an allocation, if there is one.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        self.0.pop()
    }

    /// Drops all allocations.
    pub fn clear(&self) {
        while self.take().is_some() {}
    }

    /// Stores an allocation; drops it if the list is full.
    pub fn give(&self, spare: T) {
        drop(self.0.push(spare));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_allocations_are_reused_up_to_the_maximum() {
        let spares = Spares::new(2);
        assert_eq!(spares.take(), None);
        spares.give(0);
        spares.clear();
        (1..=3).for_each(|spare| spares.give(spare));
        assert_eq!(
            [spares.take(), spares.take(), spares.take()],
            [Some(1), Some(2), None]
        );
    }
}
