//! The answers to the questions of commands.

use serde_json::{Value, json};

use super::Supervisor;
use super::control::Asker;
use super::question::Question;
use super::state::State;
use super::worker_process::Stage;
use crate::link::Supervision;

impl Supervisor {
    pub(super) fn hear_questions(&mut self) {
        // The successor answers them.
        let taken = self.is_taken();
        let Some(control) = self.control.as_mut().filter(|_| !taken) else {
            return;
        };
        for (asker, question) in control.questions() {
            match question {
                Question::Status => {
                    let status = self.status();
                    self.answer(Some(asker), &status);
                }
                Question::Reload => self.begin_reload(Some(asker)),
                Question::Upgrade => self.begin_exchange(Some(asker)),
                Question::HandOver => self.offer(asker),
                Question::Restore { view } => self.restore(asker, &view),
                Question::Unknown => {}
            }
        }
    }

    pub(super) fn answer(&mut self, asker: Option<Asker>, answer: &Value) {
        if let (Some(control), Some(asker)) = (&mut self.control, asker) {
            control.answer(asker, answer);
        }
    }

    /// Returns the status, for `vistafs status`.
    fn status(&self) -> Value {
        let worker = self.current.as_ref().map(|worker| {
            json!({
                "pid": worker.pid().as_raw(),
                "since": worker.since(),
                "serving": matches!(worker.stage, Stage::Serving(_)),
            })
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "mount_point": self.state.mount_point.to_string_lossy(),
            "mounted_since": self.state.since,
            "supervisor": {
                "pid": std::process::id(),
                "since": self.started,
                "program": self.program.path().to_string_lossy(),
            },
            "worker": worker,
            "workers": self.state.generation,
            "restarts": { "count": self.state.crashes, "last": self.state.ends },
            "put_aside": self.state.put_aside,
            "quarantined": self.state.quarantined,
            "left_out": self.state.left_out,
            "passing": self.state.passing,
            "page_cache": self.state.page_cache,
        })
    }

    /// Returns the facts for the worker's `metrics`. They change only with the worker.
    pub(super) fn supervision(&self) -> Supervision {
        Supervision {
            pid: std::process::id(),
            since: self.started,
            restarts: self.state.reasons.clone(),
        }
    }

    fn restore(&mut self, asker: Asker, view: &str) {
        let state = &mut self.state;
        let kept_back = |state: &State| state.put_aside.len() + state.quarantined.len();
        let before = kept_back(state);
        state.put_aside.retain(|one| one.name != view);
        state.quarantined.retain(|one| one.view != view);
        if kept_back(state) == before {
            let why = format!("view {view} is not disabled");
            self.answer(Some(asker), &json!({ "error": why }));
            return;
        }
        self.save();
        self.begin_restart(asker);
    }
}
