//! A container for an OCI runtime, with the machine's own programs.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::vistafs::copy_program;
use serde_json::{Value, json};

/// A bundle: a directory with a root file system and the configuration of a container.
#[derive(Debug)]
pub struct Bundle {
    dir: tempfile::TempDir,
    name: String,
    /// The content of config.json, to be changed before it runs.
    pub config: Value,
}

impl Bundle {
    /// A container with 128 MiB and one CPU in which a shell runs a script.
    #[must_use]
    pub fn new(script: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("vt-oci-{}-{number}", std::process::id());
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("rootfs");
        std::fs::create_dir(&root).unwrap();
        for link in ["bin", "sbin", "lib", "lib64"] {
            std::os::unix::fs::symlink(format!("usr/{link}"), root.join(link)).unwrap();
        }
        let config = json!({
            "ociVersion": "1.0.2",
            "root": {"path": "rootfs"},
            "hostname": "c",
            "process": {
                "cwd": "/",
                "user": {"uid": 0, "gid": 0},
                "args": ["sh", "-c", script],
                "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            },
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["bind", "ro"]},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
                {"destination": "/sys", "type": "bind", "source": "/sys", "options": ["rbind", "ro"]},
            ],
            "linux": {
                "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}],
                "cgroupsPath": format!("/{name}"),
                "resources": {
                    "memory": {"limit": 128 << 20},
                    "cpu": {"quota": 100_000, "period": 100_000},
                },
            },
        });
        Self { dir, name, config }
    }

    /// Takes the host's programs away: what is in /bin are these, and a busybox's applets.
    pub fn only(&self, programs: &[(&str, &Path)]) {
        let root = self.dir.path().join("rootfs");
        for link in ["bin", "sbin", "lib", "lib64"] {
            std::fs::remove_file(root.join(link)).unwrap();
        }
        let bin = root.join("bin");
        std::fs::create_dir(&bin).unwrap();
        for (name, program) in programs {
            copy_program(program, &bin.join(name));
        }
        for applet in ["sh", "head", "wc", "ls", "cat"] {
            std::os::unix::fs::symlink("busybox", bin.join(applet)).unwrap();
        }
    }

    /// Has the runtime bind something of the host into the container.
    pub fn bind(&mut self, source: &Path, destination: &str, access: &str) {
        let mounts = self.config["mounts"].as_array_mut().unwrap();
        mounts.push(json!({
            "destination": destination, "type": "bind",
            "source": source, "options": ["bind", access],
        }));
    }

    /// The directory of the bundle.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The name of the container.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes config.json.
    pub fn write(&self) {
        std::fs::write(self.dir.path().join("config.json"), self.config.to_string()).unwrap();
    }

    /// Runs it to its end.
    #[must_use]
    pub fn run(&self, runtime: &str) -> Output {
        self.command(runtime).output().unwrap()
    }

    /// Runs it.
    #[must_use]
    pub fn command(&self, runtime: &str) -> Command {
        self.write();
        let mut command = Command::new(runtime);
        command
            .arg("--root")
            .arg(self.dir.path().join("state"))
            .args(["run", "--bundle"])
            .arg(self.dir.path())
            .arg(&self.name);
        command
    }
}
