//! Any bytes as what BPF objects and filters hold; see [`jitlink_fuzz::bpf`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jitlink_fuzz::bpf::run(bytes));
