//! Errors: what failed, and why.

use std::fmt::Display;

/// A failed attempt to place, find or remove views.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a system call.
    #[error("{what}")]
    Kernel {
        /// The attempt that failed.
        what: String,
        /// The answer of the kernel.
        source: std::io::Error,
    },
    /// A table of mounts that cannot be parsed.
    #[error("{what}")]
    Table {
        /// Whose table it is.
        what: String,
        /// The line that is wrong.
        source: vistafs_text::ParseError,
    },
    /// JSON that cannot be parsed or written.
    #[error("{what}")]
    Json {
        /// The object that is not JSON of the expected form.
        what: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// A condition that vistafs itself requires.
    #[error("{0}")]
    Refused(String),
}

/// The result of placing, finding or removing views.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The error with its cause, in one line.
    #[must_use]
    pub fn line(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }
}

/// Returns [`Error::Refused`] with a message.
macro_rules! bail {
    ($($message:tt)*) => {
        return Err($crate::error::Error::Refused(format!($($message)*)))
    };
}
pub(crate) use bail;

/// Adds what failed to an error of the kernel, of a parser, or of JSON.
pub(crate) trait Context<T> {
    fn context(self, what: impl Display) -> Result<T>;

    fn with_context<W: Display>(self, what: impl FnOnce() -> W) -> Result<T>;
}

impl<T, E: Cause> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl Display) -> Result<T> {
        self.map_err(|cause| cause.of(what.to_string()))
    }

    fn with_context<W: Display>(self, what: impl FnOnce() -> W) -> Result<T> {
        self.map_err(|cause| cause.of(what().to_string()))
    }
}

pub(crate) trait Cause {
    fn of(self, what: String) -> Error;
}

impl Cause for std::io::Error {
    fn of(self, what: String) -> Error {
        Error::Kernel { what, source: self }
    }
}

impl Cause for rustix::io::Errno {
    fn of(self, what: String) -> Error {
        std::io::Error::from(self).of(what)
    }
}

impl Cause for nix::errno::Errno {
    fn of(self, what: String) -> Error {
        std::io::Error::from(self).of(what)
    }
}

impl Cause for vistafs_text::ParseError {
    fn of(self, what: String) -> Error {
        Error::Table { what, source: self }
    }
}

impl Cause for serde_json::Error {
    fn of(self, what: String) -> Error {
        Error::Json { what, source: self }
    }
}
