//! Files of the configuration, on a real mount.

use std::io::Read;
use std::time::{Duration, Instant};

use vistafs_tests::cgroup::Cgroup;
use vistafs_tests::require_privileged;
use vistafs_tests::vistafs::{MountOptions, Mounted, printed, vistafs};
