//! Link objects that the same program made.
//!
//! A compiler that writes object files needs no file system and no linker process: [`Input::from_bytes`](crate::Input::from_bytes)
//! takes the object from memory, with the name that errors and maps give it. Objects of your compiler and of others (a runtime
//! written in C or Rust, say) go into the same link.
//!
//! ```
//! use jitlink::{Input, LinkOptions, Session};
//!
//! # fn compile(_source: &str) -> Vec<u8> { include_bytes!("../../tests/fixtures/sum.o").to_vec() }
//! # let runtime = Input::open("tests/fixtures/add.o")?;
//! let object: Vec<u8> = compile("sum values = fold add 0 values");
//! let session = Session::in_process()?;
//! let module = session.link(&[Input::from_bytes("sum.o", object), runtime], &LinkOptions::default())?;
//! assert!(module.lookup("sum").is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With Cranelift, the object is what `cranelift-object` emits:
//!
//! ```ignore
//! let mut object = ObjectModule::new(ObjectBuilder::new(isa, "sum.o", default_libcall_names())?);
//! let id = object.declare_function("sum", Linkage::Export, &signature)?;
//! object.define_function(id, &mut context)?;
//! let input = Input::from_bytes("sum.o", object.finish().emit()?);
//! ```
//!
//! Set its flag `is_pic`: code that may lie anywhere must reach what is far through the GOT. For a REPL, link each line as a module
//! of its own: later modules find the names of earlier ones, and [`Module::remove`](crate::Module::remove) gives the memory back.
//!
//! Rust code with its standard library is one archive when rustc makes a static library of it (`--crate-type staticlib`). Functions that
//! are `extern "C"` and `#[unsafe(no_mangle)]` are found by name; the shared libraries that the archive needs
//! (`--print native-static-libs`) are for [`ProcessExecutor::load_library`](crate::ProcessExecutor::load_library).
