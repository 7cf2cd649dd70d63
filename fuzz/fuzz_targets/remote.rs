//! Any bytes as what two sides of an executor say; see [`jitlink_fuzz::remote`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jitlink_fuzz::remote::run(bytes));
