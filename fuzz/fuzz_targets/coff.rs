//! Any bytes as a COFF object; see [`jitlink_fuzz::coff`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jitlink_fuzz::coff::run(bytes));
