//! The text of a `[[file]]`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vistafs_custom::Template;

fuzz_target!(|text: &str| {
    if let Err(error) = Template::parse(text) {
        assert!(error.line <= text.matches('\n').count());
        assert!(!error.why.contains('\n'));
    }
});
