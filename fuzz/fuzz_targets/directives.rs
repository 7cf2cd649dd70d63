//! Any bytes as the directives of a COFF object; see [`jitlink_fuzz::directives`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jitlink_fuzz::directives::run(bytes));
