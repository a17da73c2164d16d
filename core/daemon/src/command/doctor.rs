//! `vistafs doctor`: checks the host and suggests fixes.

use std::path::Path;

use crate::cli::DoctorArgs;
use crate::doctor::{self, Finding, State};
use crate::output;

/// 1 if something is broken.
pub(crate) fn doctor(args: &DoctorArgs) -> anyhow::Result<u8> {
    let findings = doctor::examine(Path::new("/"))?;
    let text = if args.json {
        serde_json::to_string_pretty(&findings)? + "\n"
    } else {
        findings.iter().map(told).collect()
    };
    output::print(text.as_bytes())?;
    let is_broken = findings.iter().any(|one| one.state == State::Broken);
    Ok(u8::from(is_broken))
}

fn told(finding: &Finding) -> String {
    let state = match finding.state {
        State::Good => "ok",
        State::Limited => "limited",
        State::Broken => "BROKEN",
    };
    let mut text = format!("{state:8} {:10} {}\n", finding.about, finding.found);
    if let Some(remedy) = &finding.remedy {
        text += &format!("{:20}-> {remedy}\n", "");
    }
    text
}
