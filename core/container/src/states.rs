//! Per-container state of the views.
//!
//! One slot per type; a view owns its type and locks inside it as needed. The slots are dropped
//! with the container, or move to the new one if the container's cgroup has changed.

use std::any::{Any, TypeId};
use std::sync::Arc;

use parking_lot::Mutex;

#[derive(Debug, Default)]
pub(crate) struct States {
    // Held for a look-up only, never during a read. There are few slots.
    slots: Mutex<Vec<(TypeId, Arc<dyn Any + Send + Sync>)>>,
}

impl States {
    pub(crate) fn get<T: Any + Default + Send + Sync>(&self) -> Arc<T> {
        let mut slots = self.slots.lock();
        let known = slots.iter().find(|(id, _)| *id == TypeId::of::<T>());
        if let Some((_, slot)) = known {
            // The slot of a type holds nothing but that type.
            return Arc::clone(slot).downcast().unwrap_or_default();
        }
        let slot = Arc::<T>::default();
        slots.reserve_exact(1);
        slots.push((TypeId::of::<T>(), Arc::clone(&slot) as _));
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_shared_and_each_type_has_its_own() {
        let states = States::default();
        *states.get::<Mutex<u8>>().lock() = 7;
        assert_eq!(*states.get::<Mutex<u8>>().lock(), 7);
        assert_eq!(*states.get::<Mutex<u16>>().lock(), 0);
    }
}
