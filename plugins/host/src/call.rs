//! A call of a plugin's view function, with its limits and the mapping of its answer.

use std::ffi::c_void;
use std::time::Duration;

use vistafs_plugin_abi as abi;
use vistafs_view::{Errno, ViewError};

use crate::lane::{Lane, Late};
use crate::plugin::Loaded;
use crate::scene::Scene;
use crate::sink::Text;
use crate::table::Data;

/// A plugin's view instance; never freed.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) loaded: &'static Loaded,
    data: Data,
    lane: Lane,
    most_text: usize,
}

/// Maps a plugin's answer to a result for the caller.
fn outcome(answer: i32, explained: Option<String>) -> Result<i32, ViewError> {
    if answer >= 0 {
        return Ok(answer);
    }
    let errno = match answer.saturating_neg() {
        // The kernel would conclude that no file of the mount has the operation, for ever.
        libc::ENOSYS => Errno::OPNOTSUPP,
        // The kernel rejects larger numbers.
        errno @ 1..=511 => Errno::from_raw_os_error(errno),
        _ => Errno::IO,
    };
    Err(match explained {
        Some(why) => ViewError::Fault { errno, why },
        None => ViewError::Answer(errno),
    })
}

fn late(late: &Late) -> ViewError {
    ViewError::Fault {
        errno: match late {
            Late::NotMade => Errno::IO,
            Late::Now(_) | Late::Stuck => Errno::TIMEDOUT,
        },
        why: late.to_string(),
    }
}

impl Made {
    pub(crate) fn new(
        loaded: &'static Loaded,
        data: Data,
        timeout: Duration,
        most_text: usize,
    ) -> Self {
        Self {
            loaded,
            data,
            lane: Lane::new(timeout),
            most_text,
        }
    }

    /// The data pointer of the plugin's functions.
    pub(crate) fn data(&self) -> *mut c_void {
        self.data.get()
    }

    /// Makes a call with an answer of at least 0; returns the answer and the output.
    pub(crate) fn call<T: Send + 'static>(
        &self,
        scene: Scene,
        call: impl FnOnce(*const abi::Context) -> (i32, T) + Send + 'static,
    ) -> Result<(i32, T), ViewError> {
        let done = self.lane.run(move || {
            let (answer, out) = call(scene.as_context());
            (answer, out, scene.explained())
        });
        let (answer, out, explained) = done.map_err(|error| late(&error))?;
        outcome(answer, explained).map(|answer| (answer, out))
    }

    /// Makes a call that writes a text; returns the answer and the text.
    pub(crate) fn write(
        &self,
        scene: Scene,
        call: impl FnOnce(*const abi::Context, *mut abi::Sink) -> i32 + Send + 'static,
    ) -> Result<(i32, Vec<u8>), ViewError> {
        let most = self.most_text;
        let written = self.call(scene, move |context| {
            let text = Text::new(most);
            let answer = call(context, text.as_sink());
            match text.into_bytes() {
                Some(text) => (answer, Some(text)),
                // The text is too long, so the answer is ignored.
                None => (0, None),
            }
        })?;
        match written {
            (answer, Some(text)) => Ok((answer, text)),
            (_, None) => Err(ViewError::Fault {
                errno: Errno::FBIG,
                why: format!("it writes more than {most} bytes"),
            }),
        }
    }

    /// Makes a call without a request, with the same time limit.
    pub(crate) fn alone<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        match self.lane.run(call) {
            Ok(outcome) => Some(outcome),
            Err(late) => {
                log::warn!(
                    "plugin {}: {late} (report it to its maker; without it: remove the file, and \
                     vistafs upgrade)",
                    self.loaded.file.display()
                );
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_confuses_the_kernel() {
        let errno = |answer| match outcome(answer, None) {
            Err(ViewError::Answer(errno)) => errno,
            other => panic!("{other:?}"),
        };
        assert_eq!(errno(-libc::ENOENT), Errno::NOENT);
        assert_eq!(errno(-libc::ENOSYS), Errno::OPNOTSUPP);
        for answer in [-512, -4095, i32::MIN] {
            assert_eq!(errno(answer), Errno::IO);
        }
        assert!(matches!(outcome(3, Some("x".into())), Ok(3)));
        let fault = outcome(-1, Some("why".into()));
        assert!(matches!(
            fault,
            Err(ViewError::Fault {
                errno: Errno::PERM,
                ..
            })
        ));
    }
}
