//! The ways in which each program is compiled: all levels with all code models, and what else changes objects at one level.

use super::programs::{Language, Program};
use crate::conformance::foreign::Machine;

/// One way to compile and to link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variant {
    /// The options, as a person would type them; the name of its folder too.
    pub(super) name: String,
    pub(super) compile: Vec<&'static str>,
    /// What the compiler hears when it links the reference.
    pub(super) reference: Vec<&'static str>,
    pub(super) library: Library,
}

/// The C++ library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Library {
    /// What the compiler links by itself, shared.
    Usual,
    /// That as an archive, of which jitlink gets the unwinder's too.
    Static,
    /// LLVM's, shared.
    Llvm,
    /// LLVM's as an archive.
    LlvmStatic,
}

const LEVELS: &[&str] = &["-O0", "-O1", "-O2", "-O3"];

/// Code models, each with whether programs of it have fixed addresses.
pub(in crate::conformance) const MODELS: &[(&[&str], bool)] = &[
    (&["-fPIC"], false),
    (&["-fPIE"], false),
    (&["-fno-pic"], true),
    (&["-fno-pic", "-mcmodel=medium"], true),
    (&["-fno-pic", "-mcmodel=large"], true),
    (&["-fPIC", "-mcmodel=medium"], false),
    (&["-fPIC", "-mcmodel=large"], false),
];

/// What else changes objects; with -O2.
const OPTIONS: &[&[&str]] = &[
    &["-ffunction-sections", "-fdata-sections"],
    &["-fPIC", "-fno-plt"],
    &["-fno-asynchronous-unwind-tables"],
    &["-fcf-protection=full"],
    &["-fstack-protector-strong"],
    &["-fstack-clash-protection", "-D_FORTIFY_SOURCE=2"],
    &["-fPIC", "-ftls-model=initial-exec"],
    &["-fPIC", "-ftls-model=local-dynamic"],
    &["-fPIC", "-mtls-dialect=gnu2"],
    &["-fPIC", "-fno-semantic-interposition", "-fvisibility=hidden"],
    &["-g", "-gz"],
    &["-march=x86-64-v3"],
    &["-fomit-frame-pointer", "-mno-red-zone"],
];

const RUST_LEVELS: &[&str] =
    &["-Copt-level=0", "-Copt-level=1", "-Copt-level=2", "-Copt-level=3", "-Copt-level=s", "-Copt-level=z"];

const RUST_UNITS: &[&str] = &["-Ccodegen-units=1", "-Ccodegen-units=16"];

/// What else changes Rust's objects; with the lowest and the highest level.
const RUST_OPTIONS: &[&[&str]] = &[
    &["-Cdebuginfo=2"],
    &["-Crelocation-model=static"],
    &["-Crelocation-model=pic"],
    &["-Crelocation-model=pie"],
    &["-Ccode-model=small"],
    &["-Ccode-model=medium"],
    &["-Ccode-model=large"],
    &["-Crelocation-model=static", "-Ccode-model=large"],
    &["-Coverflow-checks=yes"],
    &["-Cdebug-assertions=yes"],
    &["-Cforce-frame-pointers=yes"],
    &["-Csymbol-mangling-version=v0"],
    &["-Ctarget-cpu=x86-64-v3"],
    &["-Cno-redzone=yes"],
    &["-Clink-dead-code=yes"],
    &["-Cembed-bitcode=no"],
];

/// Those of them that other machines do not have.
const OF_X86: &[&str] = &["-Ctarget-cpu=x86-64-v3", "-Cno-redzone=yes"];

/// LLVM's library; threads that can be told to stop are in a part of their own.
const LLVM: &[&str] = &["-stdlib=libc++", "-fexperimental-library"];

/// All ways for a program by a compiler.
pub(super) fn of(program: &Program, compiler: &str) -> Vec<Variant> {
    match program.language {
        Language::Rust => of_rust(),
        Language::C => of_c(),
        Language::Cxx => {
            let mut variants = of_c();
            let libraries: &[Library] = if compiler == "clang" {
                &[Library::Static, Library::Llvm, Library::LlvmStatic]
            } else {
                &[Library::Static]
            };
            for &library in libraries {
                for level in ["-O0", "-O2"] {
                    for (model, is_fixed) in &MODELS[..3] {
                        variants.push(variant(&[&[level], *model].concat(), *is_fixed, library));
                    }
                }
            }
            variants
        }
    }
}

/// All ways for a program of another machine.
pub(super) fn of_machine(program: &Program, machine: &Machine) -> Vec<Variant> {
    let mut variants = Vec::new();
    if program.language == Language::Rust {
        for level in ["-Copt-level=0", "-Copt-level=2", "-Copt-level=s"] {
            variants.extend(RUST_UNITS.iter().map(|units| variant(&[level, units], false, Library::Usual)));
        }
        let more = RUST_OPTIONS.iter().filter(|options| !options.iter().any(|option| OF_X86.contains(option)));
        variants.extend(more.map(|options| variant(&[&["-Copt-level=3"], *options].concat(), false, Library::Usual)));
        return variants;
    }
    for level in machine.levels {
        for (model, is_fixed) in machine.models {
            variants.push(variant(&[&[*level], *model].concat(), *is_fixed, Library::Usual));
        }
    }
    let more = machine.options.iter().map(|options| variant(&[&["-O2"], *options].concat(), false, Library::Usual));
    variants.extend(more);
    variants
}

fn of_c() -> Vec<Variant> {
    let mut variants = Vec::new();
    for level in LEVELS {
        for (model, is_fixed) in MODELS {
            variants.push(variant(&[&[*level], *model].concat(), *is_fixed, Library::Usual));
        }
    }
    variants.extend(OPTIONS.iter().map(|options| variant(&[&["-O2"], *options].concat(), false, Library::Usual)));
    variants
}

fn of_rust() -> Vec<Variant> {
    let mut variants = Vec::new();
    for level in RUST_LEVELS {
        variants.extend(RUST_UNITS.iter().map(|units| variant(&[level, units], false, Library::Usual)));
    }
    for level in ["-Copt-level=0", "-Copt-level=3"] {
        variants
            .extend(RUST_OPTIONS.iter().map(|options| variant(&[&[level], *options].concat(), false, Library::Usual)));
    }
    variants
}

fn variant(options: &[&'static str], is_fixed: bool, library: Library) -> Variant {
    let (mut compile, mut name) = (options.to_vec(), options.join(" "));
    // Code for fixed addresses makes no position-independent executable.
    let mut reference = if is_fixed { vec!["-no-pie"] } else { Vec::new() };
    let (of_compile, of_link): (&[&'static str], &[&'static str]) = match library {
        Library::Usual => (&[], &[]),
        Library::Static => (&[], &["-static-libstdc++"]),
        Library::Llvm => (LLVM, LLVM),
        Library::LlvmStatic => (LLVM, &["-stdlib=libc++", "-fexperimental-library", "-static-libstdc++"]),
    };
    compile.extend(of_compile);
    reference.extend(of_link);
    name += match library {
        Library::Usual => "",
        Library::Static => " -static-libstdc++",
        Library::Llvm => " -stdlib=libc++",
        Library::LlvmStatic => " -stdlib=libc++ -static-libstdc++",
    };
    Variant { name, compile, reference, library }
}

/// What CI runs of them.
pub(super) const SAMPLE: &[&str] =
    &["-O2 -fPIC", "-O2 -fno-pic", "-Copt-level=0 -Ccodegen-units=16", "-Copt-level=3 -Ccodegen-units=1"];
