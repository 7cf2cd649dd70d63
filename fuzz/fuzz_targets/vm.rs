//! Any bytes as a program and what it runs on; see [`jitlink_bpf_vm::testing`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jitlink_bpf_vm::testing::fuzz_one(bytes));
