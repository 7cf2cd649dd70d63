//! The example prints what it says.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

#[test]
fn compiled_code_calls_c_code_and_this_program() {
    let mut out = Vec::new();
    jitlink_example_cranelift::run(&mut out).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(String::from_utf8_lossy(&out), "the sum to 100 is 5050\nthis program saw 5050\n");
}
