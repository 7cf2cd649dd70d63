//! Any bytes as an import library; see [`jitlink_fuzz::imports`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jitlink_fuzz::imports::run(bytes));
