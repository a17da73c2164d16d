//! Resolves callers to containers, and reads the limits and usage of a container.
//!
//! The *caller* is the thread that issued a FUSE request. Its *container* is found in this order:
//!
//! 1. If its cgroup namespace is not the host's: the root of that namespace, in each hierarchy.
//! 2. If its pid namespace is not the host's: the cgroup of that namespace's init, without a
//!    trailing `/init.scope`.
//! 3. Otherwise the host.
//!
//! "The host's" namespaces are the namespaces of vistafs itself.
//!
//! | file | owns |
//! |---|---|
//! | `containers.rs` | the resolution of callers; the cache of containers |
//! | `callers.rs` | the cache of repeated callers |
//! | `account.rs` | the account of a tenant: its pace and its queues |
//! | `pace.rs` | its share of the serving threads |
//! | `offload.rs` | the threads that serve queued requests |
//! | `waiter.rs` | callers that may be killed while they wait |
//! | `held.rs` | the cached bytes of open files |
//! | `usage.rs` | the tenants with the highest usage |
//! | `budgets.rs` | bounds on the daemon's resources |
//! | `eldest.rs` | the process that replaces a missing init |
//! | `lifetime.rs` | the removal of containers that have ended |
//! | `container.rs` | one container: its cgroups, age and limits |
//! | `visible_cpus.rs` | the list of CPUs that a container sees |
//! | `task_counts.rs` | the numbers of running and blocked threads |
//! | `thread_time.rs` | the CPU time of a thread |
//! | `load.rs` | the load averages of a container |
//! | `load_sampler.rs` | the thread that samples loads |
//! | `kept.rs` | persistent state |
//! | `words.rs` | encoding of numbers in a record |
//! | `states.rs` | per-container state of views |

mod account;
pub mod budgets;
mod callers;
mod container;
mod containers;
mod eldest;
mod error;
mod held;
mod kept;
mod lifetime;
mod load;
mod load_sampler;
mod offload;
mod pace;
mod states;
mod task_counts;
mod thread_time;
mod usage;
mod visible_cpus;
mod waiter;
pub mod words;

pub use account::{Account, WaitsWithLock};
pub use container::Container;
pub use containers::{Caller, Containers, Identity, Settle};
pub use error::ContainerError;
pub use held::{Charge, Held, Holds, OpenCount};
pub use kept::Lasting;
pub use load::Load;
pub use load_sampler::LoadSampler;
pub use offload::{Offload, Queue, Refused, Work};
pub use pace::Pace;
pub use task_counts::TaskCounts;
pub use usage::Usage;
pub use visible_cpus::CpuPolicy;
pub use waiter::Waiter;
