//! Present only because `links` asks for it: the key makes cargo refuse two versions of the core in one build.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
