//! Tables that all containers share and read without blocking.
//!
//! A lock held for an instant is held for some milliseconds if its holder is preempted at that
//! instant, and a tenant can cause that often. So the path of every read takes no lock.
//!
//! | file | owns |
//! |---|---|
//! | `rcu_map.rs` | a map that is read far more often than it is changed |
//! | `slots.rs` | things that are opened and closed all the time, each known by a number |
//! | `spares.rs` | allocations that wait to be used again |

mod rcu_map;
mod slots;
mod spares;

pub use rcu_map::RcuMap;
pub use slots::Slots;
pub use spares::Spares;
