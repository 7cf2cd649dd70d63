//! Any bytes as an ELF object; see [`jitlink_fuzz::elf`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jitlink_fuzz::elf::run(bytes));
