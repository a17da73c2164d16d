//! The tables of a plugin, created once from its registrations.
//!
//! They are never freed, because a plugin is never unloaded.

use std::ffi::c_void;
use std::mem::{offset_of, size_of};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use vistafs_plugin_abi as abi;
use vistafs_view::{
    Errno, OptionSpec, OptionValue, Options, Provider, Source, ViewSpec, inventory,
};

use crate::guard::{answer, bytes, code, greet, result};
use crate::{file, tree};

/// Size of the first version of the host's table; later fields are not used here.
const FIRST_HOST: usize = offset_of!(abi::Host, host_file) + size_of::<*const u8>();

/// The entry function ([`export_views!`](crate::export_views)).
///
/// # Safety
/// `host` is a table of vistafs that is valid until the process ends.
pub unsafe fn export(
    host: *const abi::Host,
    name: &'static str,
    version: &'static str,
    wanted: &[&str],
) -> *const abi::Plugin {
    if host.is_null() {
        return ptr::null();
    }
    // SAFETY: what the caller promises; the first three fields are the same in every version.
    let major = unsafe { (*host).abi_major };
    // SAFETY: as above.
    let size = unsafe { (*host).size };
    let mut plugin = abi::Plugin {
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        size: size_of::<abi::Plugin>(),
        name: abi::Str::new(name.as_bytes()),
        version: abi::Str::new(version.as_bytes()),
        views: ptr::null(),
        view_count: 0,
    };
    // vistafs refuses a plugin of another version by these numbers.
    if major == abi::ABI_MAJOR && size >= FIRST_HOST {
        // SAFETY: the caller guarantees it; the table has all fields that are used here.
        greet(unsafe { &*host });
        let made = catch_unwind(AssertUnwindSafe(|| tables(wanted)));
        // The panic hook logs it.
        let Ok(views) = made else {
            return ptr::null();
        };
        let views: &'static [*const abi::View] = views.leak();
        plugin.views = views.as_ptr();
        plugin.view_count = views.len();
    }
    Box::leak(Box::new(plugin))
}

fn tables(wanted: &[&str]) -> Vec<*const abi::View> {
    let mut views = Vec::new();
    for spec in inventory::iter::<ViewSpec> {
        if wanted.is_empty() || wanted.contains(&spec.name) {
            let table: &'static abi::View = Box::leak(Box::new(table(spec)));
            views.push(ptr::from_ref(table));
        }
    }
    for name in wanted {
        if inventory::iter::<ViewSpec>
            .into_iter()
            .all(|spec| spec.name != *name)
        {
            log::error!("no view {name} is linked into the plugin");
        }
    }
    views
}

fn table(spec: &'static ViewSpec) -> abi::View {
    let defaults = Options::new(spec.name, spec.options, []).unwrap_or_default();
    // Its kind, and whether its texts keep their length, are only known when it is built.
    let built = (spec.build)(&defaults);
    let is_tree = matches!(built, Provider::Tree(_));
    let keeps_its_length = matches!(&built, Provider::File(file) if file.keeps_its_length());
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    let text = |text: &'static str| abi::Str::new(text.as_bytes());
    let sources: Vec<abi::Str> = spec
        .sources
        .iter()
        .filter_map(|source| match source {
            Source::Controller(name) => Some(text(name)),
            Source::Processes => Some(text("processes")),
            Source::Hierarchies => Some(text("hierarchies")),
            Source::Host => None,
        })
        .collect();
    let sources: &'static [abi::Str] = sources.leak();
    let options: Vec<*const abi::OptionSpec> = spec.options.iter().map(option).collect();
    let options: &'static [*const abi::OptionSpec] = options.leak();
    abi::View {
        size: size_of::<abi::View>(),
        name: text(spec.name),
        path: text(spec.path),
        summary: text(spec.summary),
        kind: if is_tree {
            abi::KIND_TREE
        } else {
            abi::KIND_FILE
        },
        mode: spec.mode.into(),
        flags: flag(!spec.on_by_default, abi::VIEW_OFF_BY_DEFAULT)
            | flag(keeps_its_length, abi::VIEW_FIXED_LENGTH)
            | flag(
                spec.sources.contains(&Source::Host),
                abi::VIEW_NEEDS_HOST_FILE,
            ),
        sources: sources.as_ptr(),
        source_count: sources.len(),
        options: options.as_ptr(),
        option_count: options.len(),
        data: ptr::from_ref(spec).cast_mut().cast(),
        make: Some(make),
        render: (!is_tree).then_some(file::render as _),
        render_on_host: (!is_tree).then_some(file::render_on_host as _),
        channel: (!is_tree).then_some(file::channel as _),
        tree: if is_tree {
            &raw const tree::FUNCTIONS
        } else {
            ptr::null()
        },
    }
}

fn option(spec: &'static OptionSpec) -> *const abi::OptionSpec {
    let value = |kind, number, text| abi::OptionValue { kind, number, text };
    let (least, most) = match &spec.range {
        Some(range) => (*range.start(), *range.end()),
        None => (1, 0),
    };
    let table: &'static abi::OptionSpec = Box::leak(Box::new(abi::OptionSpec {
        size: size_of::<abi::OptionSpec>(),
        name: abi::Str::new(spec.name.as_bytes()),
        summary: abi::Str::new(spec.summary.as_bytes()),
        default_value: match &spec.default {
            OptionValue::Bool(set) => value(abi::OPTION_FLAG, (*set).into(), abi::Str::EMPTY),
            OptionValue::Integer(number) => value(abi::OPTION_NUMBER, *number, abi::Str::EMPTY),
            OptionValue::Text(text) => value(abi::OPTION_TEXT, 0, abi::Str::new(text.as_bytes())),
        },
        least,
        most,
    }));
    table
}

unsafe extern "C" fn make(
    table: *const abi::View,
    settings: *const abi::Settings,
    view: *mut *mut c_void,
) -> i32 {
    answer(ptr::null(), |host| {
        // SAFETY: vistafs gives a table that `table` has made.
        let data = unsafe { (*table).data };
        // SAFETY: its `data` is a registration, which is there for ever.
        let spec = unsafe { &*data.cast::<ViewSpec>() };
        let mut set = Vec::new();
        for option in spec.options {
            // SAFETY: the settings are that of the function that is being answered, and the name is there
            // for ever.
            let value = unsafe { value_of(host, settings, option.name) };
            if let Some(value) = value {
                set.push((option.name, value));
            }
        }
        let options = Options::new(
            spec.name,
            spec.options,
            set.iter().map(|(name, value)| (*name, value)),
        );
        let options = match options {
            Ok(options) => options,
            Err(error) => {
                log::error!("{error}");
                return Ok(code(Errno::INVAL));
            }
        };
        let built = Box::into_raw(Box::new((spec.build)(&options)));
        // SAFETY: vistafs gives it to be written to.
        unsafe { view.write(built.cast()) };
        Ok(0)
    })
}

/// vistafs's value of an option; `None`: it is missing or unknown.
///
/// # Safety
/// `settings` belong to the current call.
unsafe fn value_of(
    host: &abi::Host,
    settings: *const abi::Settings,
    name: &str,
) -> Option<OptionValue> {
    let mut value = abi::OptionValue {
        kind: u32::MAX,
        number: 0,
        text: abi::Str::EMPTY,
    };
    // SAFETY: what the caller promises; the value outlives the call.
    let told = unsafe { (host.option)(settings, abi::Str::new(name.as_bytes()), &raw mut value) };
    result(told).ok()?;
    match value.kind {
        abi::OPTION_FLAG => Some(OptionValue::Bool(value.number != 0)),
        abi::OPTION_NUMBER => Some(OptionValue::Integer(value.number)),
        abi::OPTION_TEXT => {
            // SAFETY: the text is there as long as the settings.
            let text = unsafe { bytes(value.text) };
            let text = String::from_utf8_lossy(text).into_owned();
            Some(OptionValue::Text(text.into()))
        }
        _ => None,
    }
}
