//! Whole updates; see [`jitlink_fuzz::update`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jitlink_fuzz::update::run(bytes));
