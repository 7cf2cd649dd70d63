//! A guide: what people do with this library, a page each, with the core of a complete example.
//!
//! | you want to | page | the whole program |
//! | --- | --- | --- |
//! | link objects and call a function | [`linking`] | [`call_a_function.rs`] |
//! | provide host functions and data | [`host`] | [`host_functions.rs`] |
//! | be called back, with panics and exceptions | [`callbacks`] | [`callbacks.rs`] |
//! | look at a link, or change it | [`passes`] | [`write_a_pass.rs`] |
//! | replace a function while it runs | [`updating`] | [`replace_a_function.rs`] |
//! | link objects that the same program made | [`compilers`] | [`examples/cranelift`] |
//! | add an architecture | [`architectures`] | [`examples/third-party-arch`] |
//! | add an object format | [`formats`] | [`add_a_format.rs`] |
//!
//! The programs are in the repository: the first ones run with `cargo run -p jitlink --example NAME`, the others are projects of
//! their own.
//!
//! [`call_a_function.rs`]: https://github.com/jitlink/jitlink/blob/main/jitlink/examples/call_a_function.rs
//! [`host_functions.rs`]: https://github.com/jitlink/jitlink/blob/main/jitlink/examples/host_functions.rs
//! [`callbacks.rs`]: https://github.com/jitlink/jitlink/blob/main/jitlink/examples/callbacks.rs
//! [`write_a_pass.rs`]: https://github.com/jitlink/jitlink/blob/main/jitlink/examples/write_a_pass.rs
//! [`replace_a_function.rs`]: https://github.com/jitlink/jitlink/blob/main/jitlink/examples/replace_a_function.rs
//! [`add_a_format.rs`]: https://github.com/jitlink/jitlink/blob/main/jitlink/examples/add_a_format.rs
//! [`examples/cranelift`]: https://github.com/jitlink/jitlink/tree/main/examples/cranelift
//! [`examples/third-party-arch`]: https://github.com/jitlink/jitlink/tree/main/examples/third-party-arch

pub mod architectures;
pub mod callbacks;
pub mod compilers;
pub mod formats;
pub mod host;
pub mod linking;
pub mod passes;
pub mod updating;
