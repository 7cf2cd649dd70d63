//! Runs the example.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    jitlink_example_cranelift::run(&mut std::io::stdout())
}
