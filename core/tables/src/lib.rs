//! Tables that all containers share, and that are looked into without waiting for anybody.
//!
//! A lock that is held for an instant is held for some milliseconds if its holder loses the CPU at that
//! instant, and a tenant can make that happen often. So what every read goes through has none.
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
