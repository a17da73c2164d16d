//! The configuration file.

#![no_main]
#![allow(dead_code, unused_imports, reason = "a part of a program")]
#![allow(unexpected_cfgs, reason = "features of the program")]

// By a link beside this file: a path would not lead to the modules within it.
mod config;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = config::Config::of_text(None, text.to_owned()) {
        assert!(!error.to_string().contains('\n'));
    }
});
