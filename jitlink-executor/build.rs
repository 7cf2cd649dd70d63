//! Gives the program for Windows the stack that a program's main thread has on other systems: linked code runs on it.

const STACK: u32 = 8 << 20;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let of_target = |what: &str| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if of_target("OS") == "windows" {
        match of_target("ENV").as_str() {
            "msvc" => println!("cargo::rustc-link-arg-bins=/STACK:{STACK}"),
            _ => println!("cargo::rustc-link-arg-bins=-Wl,--stack,{STACK}"),
        }
    }
}
