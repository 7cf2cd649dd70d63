//! Any bytes as an archive; see [`jitlink_fuzz::archive`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jitlink_fuzz::archive::run(bytes));
