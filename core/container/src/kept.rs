//! What is remembered of a container beyond the end of this process, so that the next one goes on
//! where it stopped: counters that were shown never go down.
//!
//! There is a next process only where a supervisor shares its memory ([`Handover`]); otherwise
//! everything here is forgotten with the process, and costs nothing.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use vistafs_handover::{ContainerKey, Handover};

use crate::Container;

/// How a container was found. The same cgroups can be seen as containers of different ages.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin {
    /// The root of a cgroup namespace.
    Namespace,
    /// Where the init of a pid namespace is: the namespace's inode number, and the init's start in
    /// ns since boot. It may move.
    Init(u64, u128),
    /// By its path.
    Path,
}

/// What tells one container from all others, and where its records are kept, if they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keeper {
    key: Option<ContainerKey>,
    handover: Option<Arc<Handover>>,
}

impl Keeper {
    /// `cgroups`: the container's [`Container::mark`].
    pub(crate) fn new(handover: Option<&Arc<Handover>>, origin: Origin, cgroups: &[u8]) -> Self {
        let identity = match origin {
            // Nothing tells it from the host, and so from others of the kind.
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

    /// What tells the container from all others, in every process of this boot. `None`: nothing does.
    pub(crate) fn key(&self) -> Option<ContainerKey> {
        self.key
    }

    fn place(&self) -> Option<(&Handover, ContainerKey)> {
        Some((self.handover.as_deref()?, self.key?))
    }

    /// Its record of a name; a name tells the layout of its record, too.
    pub(crate) fn record(&self, name: &'static str) -> KeptRecord {
        KeptRecord {
            keeper: self.clone(),
            name,
        }
    }

    /// The container has ended.
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
    /// Appends what was saved last. `false`: nothing.
    pub(crate) fn load(&self, out: &mut Vec<u8>) -> bool {
        match self.keeper.place() {
            Some((handover, key)) => handover.load(key, self.name, out),
            None => false,
        }
    }

    /// Saves what `record` appends to `buffer`, which is for nothing else. Whoever saves holds a lock
    /// of his own.
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

/// What a view remembers of a container and has shown: it goes on from there in the next process.
pub trait Lasting: Default + Send + 'static {
    /// Name of the record. Whoever changes the layout changes the name.
    const NAME: &'static str;

    /// Appends all that has to be remembered.
    fn record(&self, out: &mut Vec<u8>);

    /// From a record of this name; `None` if it makes no sense. `moves`: what
    /// [`Container::moves`] was when it was made, as far as this process counts.
    fn restore(record: &[u8], moves: u64) -> Option<Self>;
}

/// The one `T` of a container.
pub(crate) struct Kept<T>(Mutex<Option<Held<T>>>);

struct Held<T> {
    value: T,
    record: KeptRecord,
}

thread_local! {
    /// Where records are written before they are saved.
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
    /// Calls `look`, and keeps what it leaves: before anybody is told of it.
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
            // In other cgroups it has moved, which this process has not seen.
            let is_here = then == bytes_of(container.short_mark())
                // As an earlier version has written it.
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

    /// How often it was looked at, and what the number of moves was at its beginning.
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
        // A container that has moved while nobody served is told so.
        assert_eq!(look(&of_init("/two")), (2, u64::MAX));
        assert_eq!(look(&of_init("/two")), (3, 0));
        one().keeper().give_up();
        assert_eq!(look(&one()), (1, 0));
        // Nothing tells these from each other.
        let root = || container("/", Origin::Namespace);
        assert_eq!([look(&root()), look(&root())], [(1, 0), (1, 0)]);
    }

    #[test]
    fn without_a_next_process_nothing_is_kept() {
        let keeper = Keeper::new(None, Origin::Path, b"x");
        let record = keeper.record("r");
        record.save(&mut Vec::new(), |_| unreachable!("nobody would read it"));
        assert!(!record.load(&mut Vec::new()));
    }
}
