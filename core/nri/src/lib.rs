//! The protocol of NRI plugins, which containerd and CRI-O call for each container.
//!
//! Owns the framing, the messages and the order of the exchange with a runtime. Knows nothing of views: a
//! [`Plugin`] decides. Everything that a runtime sends has a bound, and malformed input ends the connection
//! with an error that names the cause.
//!
//! | file | owns |
//! |---|---|
//! | `mux.rs` | [`mux`]: frames of numbered connections on one socket |
//! | `ttrpc.rs` | [`ttrpc`]: requests and responses on a connection |
//! | `messages.rs` | [`messages`]: what is requested, as far as it is needed |
//! | `plugin.rs` | [`serve`]: registering a plugin and answering the runtime |

mod error;
pub mod messages;
pub mod mux;
mod plugin;
pub mod ttrpc;

pub use error::{Error, Result};
pub use plugin::{DEFAULT_SOCKET, Identity, Plugin, serve};
