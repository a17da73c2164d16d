//! The table of a view, as a plugin gives it.

#![no_main]

use std::mem::size_of;
use std::ptr;

use libfuzzer_sys::fuzz_target;
use vistafs_plugin_abi as abi;
use vistafs_plugin_host::Record;
use vistafs_view::registration_problem;

/// The input, piece by piece; nothing at its end.
struct Input<'i>(&'i [u8]);

impl<'i> Input<'i> {
    fn take(&mut self, most: usize) -> &'i [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    fn number(&mut self) -> u64 {
        self.take(8).iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
    }

    /// Small, or of any kind.
    fn small(&mut self) -> u32 {
        match self.byte() {
            255 => self.number() as u32,
            small => small.into(),
        }
    }

    /// A size that is no more than what is there, or that is too much.
    fn size(&mut self, right: usize) -> usize {
        match self.byte() {
            0 => self.byte().into(),
            1 => usize::MAX,
            _ => right,
        }
    }

    fn text(&mut self) -> abi::Str {
        match self.byte() {
            255 => abi::Str { ptr: ptr::null(), len: self.byte().into() },
            254 => abi::Str { ptr: ptr::null(), len: usize::MAX },
            length => abi::Str::new(self.take(length.into())),
        }
    }
}

unsafe extern "C" fn render(
    _: *mut std::ffi::c_void,
    _: *const abi::Context,
    _: *mut abi::Sink,
) -> i32 {
    0
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let sources: Vec<abi::Str> = (0..input.byte() % 4).map(|_| input.text()).collect();
    let options: Vec<abi::OptionSpec> = (0..input.byte() % 4)
        .map(|_| abi::OptionSpec {
            size: input.size(size_of::<abi::OptionSpec>()),
            name: input.text(),
            summary: input.text(),
            default_value: abi::OptionValue {
                kind: input.small(),
                number: input.number() as i64,
                text: input.text(),
            },
            least: input.number() as i64,
            most: input.number() as i64,
        })
        .collect();
    let pointers: Vec<*const abi::OptionSpec> = options.iter().map(ptr::from_ref).collect();
    let view = abi::View {
        size: input.size(size_of::<abi::View>()),
        name: input.text(),
        path: input.text(),
        summary: input.text(),
        kind: input.small(),
        mode: input.small(),
        flags: input.small(),
        sources: sources.as_ptr(),
        source_count: sources.len(),
        options: pointers.as_ptr(),
        option_count: pointers.len(),
        data: ptr::null_mut(),
        make: None,
        render: (input.byte() % 2 == 0).then_some(render as _),
        render_on_host: None,
        channel: None,
        tree: ptr::null(),
    };
    // SAFETY: tables are as large as they say or larger, and all texts and lists are there.
    match unsafe { Record::read(&view) } {
        Err(problem) => assert!(!problem.to_string().contains('\n')),
        Ok(record) => match record.problem() {
            Some(why) => assert!(!why.contains('\n'), "{why}"),
            None => {
                let mode = u16::try_from(record.mode).unwrap();
                let (name, path) = (&record.name, &record.path);
                assert!(path.starts_with("proc/") || path.starts_with("sys/"));
                assert_eq!(registration_problem(name, path, mode, &record.summary), None);
            }
        },
    }
});
