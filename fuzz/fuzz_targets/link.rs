//! Whole links; see [`jitlink_fuzz::link`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jitlink_fuzz::link::run(bytes));
