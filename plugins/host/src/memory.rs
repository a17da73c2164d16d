//! State that plugins attach to containers.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;

use parking_lot::Mutex;
use vistafs_plugin_abi as abi;
use vistafs_view::Errno;

use crate::functions::answer;
use crate::lane::without_waiting;
use crate::scene::Scene;
use crate::table::Data;

/// State of all plugins for one container, by the plugin's number.
type Memory = Mutex<HashMap<usize, Arc<Slot>>>;

/// State of one plugin. Locked while it is being created.
#[derive(Debug, Default)]
struct Slot(Mutex<Option<Kept>>);

#[derive(Debug)]
struct Kept {
    data: Data,
    free: Option<unsafe extern "C" fn(data: *mut c_void)>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        let data = self.data;
        if let Some(free) = self.free {
            // Dropping a container does not wait for a plugin.
            without_waiting(move || {
                // SAFETY: the plugin passed both together, for this call; it is the only one.
                unsafe { free(data.get()) };
            });
        }
    }
}

pub(crate) unsafe extern "C" fn remember(
    context: *const abi::Context,
    make: Option<unsafe extern "C" fn() -> *mut c_void>,
    free: Option<unsafe extern "C" fn(data: *mut c_void)>,
    data: *mut *mut c_void,
) -> i32 {
    answer(|| {
        // SAFETY: plugins promise it.
        let scene = unsafe { Scene::of(context) }?;
        let make = make.ok_or(Errno::FAULT)?;
        let memory = scene.container()?.state::<Memory>();
        let slot = Arc::clone(memory.lock().entry(scene.loaded.number).or_default());
        let mut kept = slot.0.lock();
        let kept = kept.get_or_insert_with(|| Kept {
            // SAFETY: the plugin passed the function for this call.
            data: Data::new(unsafe { make() }),
            free,
        });
        if data.is_null() {
            return Err(Errno::FAULT);
        }
        // SAFETY: plugins promise it.
        unsafe { data.write(kept.data.get()) };
        Ok(0)
    })
}
