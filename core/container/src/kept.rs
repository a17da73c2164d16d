//! Persistent state of a container, so that a successor process continues it: counters that were
//! shown never decrease.
//!
//! Only a supervisor shares its memory with a successor ([`Handover`]). Without one, this state
//! ends with the process and costs nothing.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use vistafs_handover::{ContainerKey, Handover};

use crate::Container;

/// How a container was found. The same cgroups can belong to containers of different ages.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin {
    /// The root of a cgroup namespace.
    Namespace,
    /// At the cgroup of a pid namespace's init: the inode number of the namespace, and the init's
    /// start in ns since boot. The init may move.
    Init(u64, u128),
    /// By its path.
    Path,
}

/// The identity of a container, and the shared memory for its records, if any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keeper {
    key: Option<ContainerKey>,
    handover: Option<Arc<Handover>>,
}

impl Keeper {
    /// Creates a keeper. `cgroups`: the container's [`Container::mark`].
    pub(crate) fn new(handover: Option<&Arc<Handover>>, origin: Origin, cgroups: &[u8]) -> Self {
        let identity = match origin {
            // The container is indistinguishable from the host and from other such containers.
            Origin::Namespace | Origin::Path if cgroups.is_empty() => return Self::default(),
            Origin::Namespace => [b"namespace", cgroups].concat(),
            Origin::Path => [b"path", cgroups].concat(),
            Origin::Init(namespace, start) => format!("init {namespace} {start}").into_bytes(),
        };
        Self {
            key: Some(ContainerKey::new(&identity)),
            handover: handover.cloned(),
        }
    }

    /// Returns the container's key, the same in every process of this boot, if it has an identity.
    pub(crate) fn key(&self) -> Option<ContainerKey> {
        self.key
    }

    fn place(&self) -> Option<(&Handover, ContainerKey)> {
        Some((self.handover.as_deref()?, self.key?))
    }

    /// Returns its record of this name. A name also identifies the layout of the record.
    pub(crate) fn record(&self, name: &'static str) -> KeptRecord {
        KeptRecord {
            keeper: self.clone(),
            name,
        }
    }

    /// Frees the records of a container that has ended.
    pub(crate) fn give_up(&self) {
        if let Some((handover, key)) = self.place() {
            handover.give_up(key);
        }
    }
}

/// One record of one container.
#[derive(Debug, Clone)]
pub(crate) struct KeptRecord {
    keeper: Keeper,
    name: &'static str,
}

impl KeptRecord {
    /// Appends the saved bytes. `false`: there are none.
    pub(crate) fn load(&self, out: &mut Vec<u8>) -> bool {
        match self.keeper.place() {
            Some((handover, key)) => handover.load(key, self.name, out),
            None => false,
        }
    }

    /// Saves the bytes that `record` appends to the scratch `buffer`. Callers hold their own lock.
    pub(crate) fn save(&self, buffer: &mut Vec<u8>, record: impl FnOnce(&mut Vec<u8>)) {
        let Some((handover, key)) = self.keeper.place() else {
            return;
        };
        buffer.clear();
        record(buffer);
        if !handover.save(key, self.name, buffer) {
            log::debug!("no room to keep {} of a container", self.name);
        }
    }
}

/// Monotonic state of a view for one container, which a successor process continues.
pub trait Lasting: Default + Send + 'static {
    /// Name of the record. A change of the layout needs a new name.
    const NAME: &'static str;

    /// Appends the whole state.
    fn record(&self, out: &mut Vec<u8>);

    /// Restores the state from a record of this name; `None` if it is invalid. `moves`:
    /// [`Container::moves`] at the time of the record, as far as this process knows.
    fn restore(record: &[u8], moves: u64) -> Option<Self>;
}

/// The only `T` of a container.
pub(crate) struct Kept<T>(Mutex<Option<Held<T>>>);

struct Held<T> {
    value: T,
    record: KeptRecord,
}

thread_local! {
    /// Buffer for records that are about to be saved.
    static RECORD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl<T: Lasting> Kept<T> {
    /// Calls `look` and saves the result before any reader sees it.
    pub(crate) fn with<R>(&self, container: &Container, look: impl FnOnce(&mut T) -> R) -> R {
        let mut held = self.0.lock();
        let Held { value, record } = held.get_or_insert_with(|| Held::restored(container));
        let looked = look(value);
        let mark = bytes_of(container.short_mark());
        RECORD.with_borrow_mut(|buffer| {
            record.save(buffer, |out| {
                out.extend_from_slice(&MARK_LENGTH.to_le_bytes());
                out.extend_from_slice(&mark);
                value.record(out);
            });
        });
        looked
    }
}

/// Bytes of a short mark.
const MARK_LENGTH: u32 = 16;

fn bytes_of(mark: ContainerKey) -> [u8; MARK_LENGTH as usize] {
    let mut bytes = [0; MARK_LENGTH as usize];
    let words = mark.words().map(u64::to_le_bytes);
    bytes.copy_from_slice(words.as_flattened());
    bytes
}

impl<T: Lasting> Held<T> {
    fn restored(container: &Container) -> Self {
        let record = container.keeper().record(T::NAME);
        let mut bytes = Vec::new();
        let value = record.load(&mut bytes).then_some(()).and_then(|()| {
            let (length, rest) = bytes.split_first_chunk()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (then, value) = rest.split_at_checked(length)?;
            let moves = container.moves();
            // Other cgroups: it has moved while this process did not see it.
            let is_here = then == bytes_of(container.short_mark())
                // The format of an earlier version.
                || then == container.mark();
            let moves = if is_here { moves } else { !moves };
            T::restore(value, moves)
        });
        Self {
            value: value.unwrap_or_default(),
            record,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::path::Path;
    use std::time::Duration;

    use vistafs_cgroup::Hierarchies;

    use super::*;
    use crate::words;

    /// How often it was accessed, and the number of moves at the start.
    #[derive(Debug, Default)]
    struct Looks {
        count: u64,
        moves: u64,
    }

    impl Lasting for Looks {
        const NAME: &'static str = "looks 1";

        fn record(&self, out: &mut Vec<u8>) {
            words::push(out, &[self.count]);
        }

        fn restore(mut record: &[u8], moves: u64) -> Option<Self> {
            let [count] = words::take(&mut record)?;
            Some(Self { count, moves })
        }
    }

    fn look(container: &Container) -> (u64, u64) {
        container.kept(|looks: &mut Looks| {
            looks.count += 1;
            (looks.count, looks.moves)
        })
    }

    #[test]
    fn the_next_process_goes_on_until_the_container_ends() {
        let dir = tempfile::tempdir().unwrap();
        for cgroup in ["c/one", "c/two"] {
            std::fs::create_dir_all(dir.path().join(cgroup)).unwrap();
        }
        let mounts = b"30 1 0:30 / /c rw - cgroup2 cgroup2 rw\n";
        let hierarchies = Hierarchies::discover(mounts, dir.path()).unwrap();
        let handover = Handover::create().unwrap();
        let container = |path: &str, origin: Origin| {
            let located = hierarchies.locate_path(Path::new(path)).unwrap();
            let mark = located.mark();
            let container =
                Container::new(&hierarchies, located, Duration::ZERO, Default::default());
            let adopted = handover.as_fd().try_clone_to_owned().unwrap();
            let adopted = Handover::adopt(adopted).unwrap();
            container.kept_by(Keeper::new(Some(&adopted), origin, &mark))
        };
        let (one, two) = (
            || container("/one", Origin::Path),
            || container("/two", Origin::Path),
        );
        assert_eq!(
            [look(&one()), look(&one()), look(&one())],
            [(1, 0), (2, 0), (3, 0)]
        );
        assert_eq!(look(&two()), (1, 0));
        // The same cgroups, found in another way, are another container.
        let of_init = |path| container(path, Origin::Init(7, 8));
        assert_eq!(look(&of_init("/one")), (1, 0));
        // A container that moved while no process served sees a changed number of moves.
        assert_eq!(look(&of_init("/two")), (2, u64::MAX));
        assert_eq!(look(&of_init("/two")), (3, 0));
        one().keeper().give_up();
        assert_eq!(look(&one()), (1, 0));
        // These have no identity.
        let root = || container("/", Origin::Namespace);
        assert_eq!([look(&root()), look(&root())], [(1, 0), (1, 0)]);
    }

    #[test]
    fn without_a_next_process_nothing_is_kept() {
        let keeper = Keeper::new(None, Origin::Path, b"x");
        let record = keeper.record("r");
        record.save(&mut Vec::new(), |_| unreachable!("it would never be read"));
        assert!(!record.load(&mut Vec::new()));
    }
}
