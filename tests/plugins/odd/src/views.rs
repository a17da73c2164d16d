//! Files that are not served as files should be.

use std::sync::Arc;
use std::time::Duration;

use vistafs_plugin_sdk::view::{
    Context, Errno, Options, Provider, View, ViewError, ViewSpec, inventory,
};

/// All of them, and the tree.
pub(crate) const NAMES: [&str; 10] = [
    "odd-answer",
    "odd-bytes",
    "odd-error",
    "odd-little",
    "odd-much",
    "odd-never",
    "odd-panic",
    "odd-signal",
    "odd-slow",
    "odd-tree",
];

/// The fault of a file when it is read.
#[derive(Debug, Clone, Copy)]
enum Odd {
    /// Answers an errno, of which nothing is said.
    Answer,
    /// Shows bytes that are not UTF-8.
    Bytes,
    /// Fails, and says why.
    Error,
    /// Shows nothing at all.
    Little,
    /// Shows more than the maximum.
    Much,
    /// Does not return.
    Never,
    /// Panics.
    Panic,
    /// Writes where it must not, and is killed for that.
    Signal,
    /// Takes a while.
    Slow,
}

/// Writes where nothing is.
pub(crate) fn fault() {
    let nowhere = std::ptr::without_provenance_mut::<u8>(16);
    // SAFETY: none. That is what it is for, and nothing is ever mapped there.
    unsafe { nowhere.write_volatile(0) };
}

impl View for Odd {
    fn render(&self, _: &mut Context<'_>, out: &mut Vec<u8>) -> Result<(), ViewError> {
        match self {
            Self::Answer => return Err(ViewError::Answer(Errno::NODATA)),
            Self::Bytes => out.extend_from_slice(b"\xff\xfe\0\n"),
            Self::Error => {
                return Err(ViewError::Fault {
                    errno: Errno::NXIO,
                    why: "it was asked for it".into(),
                });
            }
            Self::Little => {}
            Self::Much => out.resize(64 << 20, b'x'),
            Self::Never => std::thread::sleep(Duration::MAX),
            #[allow(clippy::panic, reason = "that is what it is for")]
            Self::Panic => panic!("on purpose"),
            Self::Signal => {
                fault();
            }
            Self::Slow => {
                std::thread::sleep(Duration::from_millis(100));
                out.extend_from_slice(b"slow\n");
            }
        }
        Ok(())
    }
}

const fn spec(name: &'static str, path: &'static str, build: fn(&Options) -> Provider) -> ViewSpec {
    ViewSpec {
        name,
        path,
        summary: "misbehaves",
        mode: 0o444,
        on_by_default: true,
        sources: &[],
        options: &[],
        build,
    }
}

macro_rules! odd {
    ($($name:literal $path:literal $odd:expr),* $(,)?) => {
        $(inventory::submit! { spec($name, $path, |_| Provider::File(Arc::new($odd))) })*
    };
}

odd! {
    "odd-answer" "proc/odd/answer" Odd::Answer,
    "odd-bytes" "proc/odd/bytes" Odd::Bytes,
    "odd-error" "proc/odd/error" Odd::Error,
    "odd-little" "proc/odd/little" Odd::Little,
    "odd-much" "proc/odd/much" Odd::Much,
    "odd-never" "proc/odd/never" Odd::Never,
    "odd-panic" "proc/odd/panic" Odd::Panic,
    "odd-signal" "proc/odd/signal" Odd::Signal,
    "odd-slow" "proc/odd/slow" Odd::Slow,
}
