//! Allocations that wait to be used again, so that what comes and goes with each read takes no memory.

use crossbeam_queue::ArrayQueue;

/// Some things that nobody uses.
#[derive(Debug)]
pub struct Spares<T>(ArrayQueue<T>);

impl<T> Spares<T> {
    /// At most so many, and at least one.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self(ArrayQueue::new(most.max(1)))
    }

    /// One, if there is any.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        self.0.pop()
    }

    /// Drops all that are there.
    pub fn clear(&self) {
        while self.take().is_some() {}
    }

    /// Keeps one; there may be enough of them, then it is dropped.
    pub fn give(&self, spare: T) {
        drop(self.0.push(spare));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_taken_up_to_the_most() {
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
