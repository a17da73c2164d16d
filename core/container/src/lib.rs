//! Who asks, which container that is, and what it may use.
//!
//! The *caller* is the thread of a FUSE request. Its *container* is found in this order:
//!
//! 1. its cgroup namespace is not the host's: the container is that namespace's root, in each
//!    hierarchy;
//! 2. else its pid namespace is not the host's: the cgroup of that namespace's init, without a
//!    trailing `/init.scope`;
//! 3. else it is the host.
//!
//! "The host's" namespaces are those that vistafs itself runs in.
//!
//! | file | owns |
//! |---|---|
//! | `containers.rs` | from a caller to its container; the cache of containers |
//! | `callers.rs` | callers that ask again and again |
//! | `account.rs` | what a tenant is charged for: its pace and its queues |
//! | `pace.rs` | how much of the serving threads it takes |
//! | `offload.rs` | the threads that serve what waits in queues |
//! | `waiter.rs` | callers that may be killed while they wait |
//! | `held.rs` | what its open files hold |
//! | `usage.rs` | which tenants take most of all that |
//! | `budgets.rs` | what containers may take of the daemon |
//! | `eldest.rs` | who stands in for an init |
//! | `lifetime.rs` | forgetting containers that have ended |
//! | `container.rs` | one container: its cgroups, age and limits |
//! | `visible_cpus.rs` | the one list of CPUs that a container is shown |
//! | `task_counts.rs` | how many of its threads run or wait |
//! | `thread_time.rs` | what counting costs |
//! | `load.rs` | its load: that number, averaged |
//! | `load_sampler.rs` | the thread that samples the loads that are asked for |
//! | `kept.rs` | what is remembered beyond the end of this process |
//! | `words.rs` | the numbers in a record of that |
//! | `states.rs` | what views remember about a container |

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
