//! `cargo xtask vm`: a command in a machine of each asked layout, to try things.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use super::{Job, Layout, Vm};

/// Boots a virtual machine, runs a command in it as root and prints its output.
#[derive(Args)]
pub(crate) struct VmArgs {
    /// How the machine mounts its cgroup hierarchies; may be given more than once.
    #[arg(long, required = true)]
    layout: Vec<Layout>,
    /// The machine's memory in MiB [default: 1536; hosts: 3072].
    #[arg(long)]
    memory: Option<u32>,
    /// The machine's CPUs.
    #[arg(long, default_value_t = 2)]
    cpus: u32,
    /// Seconds that the command may take.
    #[arg(long, default_value_t = 900)]
    timeout: u64,
    /// Go on with the other layouts when the command fails in one.
    #[arg(long)]
    keep_going: bool,
    /// A file or directory to place in the machine first.
    #[arg(long, value_name = "HOSTPATH:GUESTPATH", value_parser = two_paths)]
    put: Vec<(PathBuf, PathBuf)>,
    /// A file or directory to bring back at the end, whether the command failed or not.
    #[arg(long, value_name = "GUESTPATH:HOSTPATH", value_parser = two_paths)]
    get: Vec<(PathBuf, PathBuf)>,
    /// The command: one word is a shell script, several are a program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

impl VmArgs {
    /// The exit status is that of the first command that failed.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let mut first_failure = ExitCode::SUCCESS;
        let mut failed = false;
        let several = self.layout.len() > 1;
        let job = Job {
            command: shell_script(&self.command),
            put: self.put,
            get: self.get,
        };
        for layout in self.layout {
            let vm = Vm {
                memory_mib: self.memory.unwrap_or(layout.memory_mib()),
                cpus: self.cpus,
                timeout: Duration::from_secs(self.timeout),
                prefix: if several {
                    format!("{}: ", layout.name())
                } else {
                    String::new()
                },
                ..Vm::new(layout)
            };
            let status = vm.run(&job, |_| ())?;
            if status != 0 {
                if !failed {
                    first_failure = ExitCode::from(u8::try_from(status).unwrap_or(1));
                }
                failed = true;
                if !self.keep_going {
                    break;
                }
            }
        }
        Ok(first_failure)
    }
}

fn two_paths(text: &str) -> Result<(PathBuf, PathBuf)> {
    match text.split_once(':') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok((from.into(), to.into())),
        _ => bail!("two paths with a colon between them are wanted"),
    }
}

/// The script that runs those words.
fn shell_script(words: &[String]) -> String {
    match words {
        [script] => script.clone(),
        words => {
            let quoted: Vec<_> = words.iter().map(|word| quote(word)).collect();
            quoted.join(" ")
        }
    }
}

/// One word for a shell, whatever it contains.
pub(crate) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::{shell_script, two_paths};

    #[test]
    fn one_word_is_a_script_and_several_are_arguments() {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shell_script(&words(&["ls | wc"])), "ls | wc");
        assert_eq!(
            shell_script(&words(&["echo", "it's", "a b"])),
            r"'echo' 'it'\''s' 'a b'"
        );
    }

    #[test]
    fn paths_come_in_pairs() {
        assert!(two_paths("a:/b").is_ok());
        assert!(two_paths("a").is_err());
        assert!(two_paths(":/b").is_err());
    }
}
