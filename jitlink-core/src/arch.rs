//! What an architecture tells the linker.

use crate::addr::{Addr, Endian};
use crate::error::LinkError;
use crate::executor::StaticThreadLocals;
use crate::format::ObjectHeader;
use crate::graph::{Edge, ObjectBuilder};
use crate::link::Pipeline;
use crate::reloc::Reloc;
use std::fmt;

/// A machine: what its code means to a linker. Knows no object format.
pub trait TargetArch: Send + Sync {
    /// The facts.
    fn info(&self) -> &'static ArchInfo;

    /// The code of a stub of this kind; `None` if the architecture has none. Without [`StubKind::Plt`], a call that cannot reach its
    /// target is an error.
    fn stub(&self, kind: StubKind) -> Option<&'static StubTemplate>;

    /// A shorter form of an edge whose target is near and fixed, for rows marked with [`Reloc::relax`]: for instance a load
    /// from a GOT slot that can compute the address instead.
    fn relax(&self, _site: &CodeSite<'_>) -> Option<Relaxed> {
        None
    }

    /// Code that computes the address of a thread-local variable, in the place of code that has it looked up, for a variable at the
    /// same distance from the thread pointer in every thread ("ELF Handling For Thread-Local Storage", section 5). `call` is the
    /// edge behind `site`'s, if that is of a call of `__tls_get_addr`: the field of the answer to a
    /// [`TlsGdSlot`](crate::reloc::Subject::TlsGdSlot) or [`TlsLdSlot`](crate::reloc::Subject::TlsLdSlot) covers it as well.
    fn relax_thread_local(&self, _site: &CodeSite<'_>, _call: Option<&Edge>) -> Option<Relaxed> {
        None
    }

    /// Whether the instruction around the field is a direct branch, so that a stub may stand for its target although the row
    /// does not say so (older assemblers used the plain pc-relative relocation for calls).
    fn is_branch(&self, _site: &CodeSite<'_>) -> bool {
        false
    }

    /// How a call is made: where it enters its callee, and through which stub it goes where it cannot or must not be direct.
    /// `site` has the row of the call, which a pass may have replaced by one of the architecture's own; `other` is what the
    /// callee's definition says ([`Symbol::other`](crate::graph::Symbol::other)).
    fn call(&self, _site: &CodeSite<'_>, _other: u8) -> CallForm {
        CallForm { entry: 0, stub: Ok((StubKind::Plt, None)), always: false }
    }

    /// Moves an instruction whose short field cannot reach its target out of line, to where a full-width form does its work.
    /// The reason where that cannot be done.
    fn outline(&self, _site: &CodeSite<'_>) -> Result<Outlined, String> {
        Err(format!("{} has no out-of-line form for this", self.info().name()))
    }

    /// The name of the calling convention of an object's functions: empty for the usual one, or the one of its
    /// [`RelocTable`](crate::reloc::RelocTable::convention). `None` where the object's header does not say which it is, so that the
    /// next object of the batch is asked.
    fn convention(&self, _header: &ObjectHeader) -> Option<&'static str> {
        Some("")
    }

    /// The part of a trampoline ([`StubKind::Trampoline`], [`StubKind::Lazy`], [`StubKind::Binder`]) for code of the target, where it
    /// depends on the convention that functions of the target are called by; those of the usual one are stubs as others.
    fn trampoline_part(&self, kind: StubKind, target: &Target) -> Option<&'static StubTemplate> {
        if target.convention.is_empty() { self.stub(kind) } else { None }
    }

    /// Completes an object that a format has read, before it is resolved against others: cuts blocks at functions
    /// ([`ObjectBuilder::split`]), corrects what this architecture's compilers write in ways of their own, or refuses the
    /// object. `header` is that of this object, which may have another machine number than the others of the batch.
    fn complete(&self, _header: &ObjectHeader, _object: &mut ObjectBuilder<'_, '_>) -> Result<(), LinkError> {
        Ok(())
    }

    /// Adds passes of the architecture to a link, behind those of the caller at each stage: pairs of instructions, a TOC, whatever a
    /// single row cannot say. Called once for each link.
    fn add_passes(&self, _pipeline: &mut Pipeline) {}
}

/// Facts about an architecture. Made by [`ArchInfo::new`] and its builders, so that more can be told later.
#[derive(Clone, Copy, Debug)]
pub struct ArchInfo {
    name: &'static str,
    description: &'static str,
    rows: &'static [Reloc],
    pointer_rows: [Option<u16>; 2],
    trap: &'static [u8],
    got_bias: u64,
    call_reach: Option<u64>,
    call_bias: i64,
    beside: &'static [&'static [u8]],
    forms: u8,
    got_name: &'static [u8],
    got_gathered: bool,
    trampoline_other: u8,
    descriptors: Option<&'static [u8]>,
    systems: &'static [SystemNames],
}

impl ArchInfo {
    /// An architecture with rows of its own, which slots, stubs and relaxed edges use by index.
    pub const fn new(name: &'static str, description: &'static str, rows: &'static [Reloc]) -> ArchInfo {
        ArchInfo {
            name,
            description,
            rows,
            pointer_rows: [None, None],
            trap: &[0],
            got_bias: 0,
            call_reach: None,
            call_bias: 0,
            beside: &[],
            forms: 0,
            got_name: b".got",
            got_gathered: false,
            trampoline_other: 0,
            descriptors: None,
            systems: &[],
        }
    }

    /// The rows that store a pointer of four and of eight bytes, as indices into the architecture's rows. A link needs the one of its
    /// target's pointer size, for GOT slots.
    pub const fn pointer_rows(mut self, four: Option<u16>, eight: Option<u16>) -> ArchInfo {
        self.pointer_rows = [four, eight];
        self
    }

    /// The bytes that fill gaps in code, repeated: an instruction that traps. One zero byte by default.
    pub const fn trap(mut self, trap: &'static [u8]) -> ArchInfo {
        self.trap = trap;
        self
    }

    /// How many bytes the base of the GOT (what [`Base::Got`](crate::reloc::Base::Got) and
    /// [`Subject::GotBase`](crate::reloc::Subject::GotBase) mean) lies after its first slot; zero by default.
    pub const fn got_bias(mut self, bias: u64) -> ArchInfo {
        self.got_bias = bias;
        self
    }

    /// How far, in bytes, a direct call reaches either way, where that is less than a batch may span. Calls that are farther apart
    /// go through thunks ([`StubKind::Thunk`]); an architecture that does not say this needs none.
    pub const fn call_reach(mut self, reach: u64) -> ArchInfo {
        self.call_reach = Some(reach);
        self
    }

    /// The addend of a direct call to its target's first byte, where that is not zero, because the machine counts from elsewhere
    /// than the field.
    pub const fn call_bias(mut self, bias: i64) -> ArchInfo {
        self.call_bias = bias;
        self
    }

    /// The names of sections that take up no memory and are read all the same, as bytes without relocations, because they say
    /// what code means: types, the compiler. None by default.
    pub const fn beside(mut self, names: &'static [&'static [u8]]) -> ArchInfo {
        self.beside = names;
        self
    }

    /// How many forms of its own the machine's stubs have ([`StubKind::Form`]); none by default.
    pub const fn stub_forms(mut self, count: u8) -> ArchInfo {
        self.forms = count;
        self
    }

    /// The name of sections of pointers that objects bring along and that code reaches from the same base as the GOT: the GOT
    /// is a section of this name, and all gathered ones of it lie together, the GOT in the place that its sort key (zero)
    /// gives it. By default it lies by itself.
    pub const fn got_beside(mut self, name: &'static [u8]) -> ArchInfo {
        self.got_name = name;
        self.got_gathered = true;
        self
    }

    /// What the symbols of functions say that are found on their first call ([`Symbol::other`](crate::graph::Symbol::other)): how
    /// [`StubKind::Trampoline`] is called. Zero by default.
    pub const fn trampoline_other(mut self, other: u8) -> ArchInfo {
        self.trampoline_other = other;
        self
    }

    /// The name of sections of function descriptors: symbols of functions may mean one there instead of code. By default they mean code.
    pub const fn descriptors_in(mut self, section: &'static [u8]) -> ArchInfo {
        self.descriptors = Some(section);
        self
    }

    /// What others call its systems that programs can run on, one for each byte order, pointer width and calling convention. None by
    /// default.
    pub const fn systems(mut self, systems: &'static [SystemNames]) -> ArchInfo {
        self.systems = systems;
        self
    }

    /// What others call the system of this byte order and pointer width whose functions are called in this convention
    /// ([`Target::convention`]).
    pub fn system(&self, endian: Endian, pointer_bytes: u8, convention: &str) -> Option<&'static SystemNames> {
        let wanted = (endian, pointer_bytes, convention);
        self.systems.iter().find(|system| (system.endian, system.pointer_bytes, system.convention) == wanted)
    }

    /// Its name: `x86-64`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// One line for people.
    pub const fn description(&self) -> &'static str {
        self.description
    }

    /// The rows of its own.
    pub const fn rows(&self) -> &'static [Reloc] {
        self.rows
    }

    /// The row that stores a pointer of `bytes` bytes, as an index into [`ArchInfo::rows`]; `None` if there is none.
    pub const fn pointer_row(&self, bytes: u8) -> Option<u16> {
        match bytes {
            4 => self.pointer_rows[0],
            8 => self.pointer_rows[1],
            _ => None,
        }
    }

    /// The bytes that fill gaps in code.
    pub const fn trap_bytes(&self) -> &'static [u8] {
        self.trap
    }

    /// How far the base of the GOT lies after its first slot.
    pub const fn got_base_bias(&self) -> u64 {
        self.got_bias
    }

    /// The addend of a direct call to its target's first byte.
    pub const fn call_addend_bias(&self) -> i64 {
        self.call_bias
    }

    /// How many forms of its own its stubs have.
    pub const fn stub_form_count(&self) -> u8 {
        self.forms
    }

    /// The name of the GOT's section.
    pub const fn got_section(&self) -> &'static [u8] {
        self.got_name
    }

    /// Whether the GOT lies with sections that objects bring along.
    pub const fn has_gathered_got(&self) -> bool {
        self.got_gathered
    }

    /// What the symbols of functions say that are found on their first call.
    pub const fn trampoline_symbol_other(&self) -> u8 {
        self.trampoline_other
    }

    /// The name of sections of function descriptors.
    pub const fn descriptor_section(&self) -> Option<&'static [u8]> {
        self.descriptors
    }

    /// The names of sections without memory that are read as bytes.
    pub const fn sections_beside(&self) -> &'static [&'static [u8]] {
        self.beside
    }

    /// How far a direct call reaches, where that is less than a batch may span.
    pub const fn direct_call_reach(&self) -> Option<u64> {
        self.call_reach
    }
}

/// What others call a system that programs of an architecture run on: whoever runs them has to find what they need. Made by
/// [`SystemNames::new`] and its builders.
#[derive(Clone, Copy, Debug)]
pub struct SystemNames {
    endian: Endian,
    pointer_bytes: u8,
    convention: &'static str,
    rust: (&'static str, &'static str),
    emulator: Option<&'static str>,
    layer: Option<(&'static str, &'static str)>,
    libraries: Option<(&'static str, &'static str)>,
}

impl SystemNames {
    /// The system of a byte order and pointer width. Rust calls its architecture `arch` (`powerpc64`), and builds programs for it as the
    /// target `target` (`powerpc64le-unknown-linux-gnu`).
    pub const fn new(endian: Endian, pointer_bytes: u8, arch: &'static str, target: &'static str) -> SystemNames {
        let (convention, rust) = ("", (arch, target));
        SystemNames { endian, pointer_bytes, convention, rust, emulator: None, layer: None, libraries: None }
    }

    /// The calling convention of its functions, where that is not the architecture's usual one.
    pub const fn called_as(mut self, convention: &'static str) -> SystemNames {
        self.convention = convention;
        self
    }

    /// The program that runs this system's programs on another system of the same machine (`wine64`), and the package that has it.
    pub const fn layer(mut self, program: &'static str, package: &'static str) -> SystemNames {
        self.layer = Some((program, package));
        self
    }

    /// What QEMU calls it in the names of its programs: `ppc64le` for `qemu-ppc64le`.
    pub const fn qemu(mut self, name: &'static str) -> SystemNames {
        self.emulator = Some(name);
        self
    }

    /// What Debian calls it in paths (`powerpc64le-linux-gnu`), and the package that has its C library for compilers of other machines
    /// (`libc6-ppc64el-cross`).
    pub const fn debian(mut self, triple: &'static str, package: &'static str) -> SystemNames {
        self.libraries = Some((triple, package));
        self
    }

    /// Its byte order and pointer width.
    pub const fn shape(&self) -> (Endian, u8) {
        (self.endian, self.pointer_bytes)
    }

    /// What Rust calls the architecture.
    pub const fn rust_arch(&self) -> &'static str {
        self.rust.0
    }

    /// What Rust calls the target.
    pub const fn rust_target(&self) -> &'static str {
        self.rust.1
    }

    /// The calling convention of its functions, where that is not the architecture's usual one; empty otherwise.
    pub const fn convention(&self) -> &'static str {
        self.convention
    }

    /// The program that runs its programs on another system, and the package that has it.
    pub const fn layer_names(&self) -> Option<(&'static str, &'static str)> {
        self.layer
    }

    /// What QEMU calls it.
    pub const fn qemu_name(&self) -> Option<&'static str> {
        self.emulator
    }

    /// What Debian calls it in paths, and the package with its C library.
    pub const fn debian_names(&self) -> Option<(&'static str, &'static str)> {
        self.libraries
    }
}

/// What a stub is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StubKind {
    /// Jumps to the address in the target's GOT slot.
    Plt,
    /// One of several forms that the machine's conventions need, chosen by [`TargetArch::call`]; below
    /// [`ArchInfo::stub_forms`].
    Form(u8),
    /// Jumps to a target anywhere without using a GOT slot.
    Thunk,
    /// As [`Plt`](Self::Plt), for a function that is found on its first call: every caller enters it here, whatever it knows. Where an
    /// architecture has none, [`Plt`](Self::Plt) does for it.
    Trampoline,
    /// What the slot of a function that is not linked yet points to: hands the address of that slot to the [`Binder`](Self::Binder),
    /// in a register that a call changes and that holds no argument. Rows whose subject is a GOT slot mean the function's slot,
    /// all others the binder, which is code of the same batch.
    Lazy,
    /// Links a function on its first call, once in a batch: saves every register that may hold an argument, calls the target in
    /// the C calling convention with the address of the slot as its one argument, restores the registers, and jumps to the
    /// address that the call returned, with the stack as it was.
    Binder,
}

impl StubKind {
    /// The name used in link maps.
    pub fn name(self) -> &'static str {
        match self {
            StubKind::Plt => "plt",
            StubKind::Trampoline => "trampoline",
            StubKind::Form(_) => "stub",
            StubKind::Thunk => "thunk",
            StubKind::Lazy => "lazy",
            StubKind::Binder => "binder",
        }
    }
}

/// The code of a stub, with what must be filled in.
#[derive(Clone, Copy, Debug)]
pub struct StubTemplate {
    code: &'static [u8],
    align: u64,
    fixups: &'static [StubFixup],
}

impl StubTemplate {
    /// Code at a multiple of `align`, with its fixups.
    pub const fn new(code: &'static [u8], align: u64, fixups: &'static [StubFixup]) -> StubTemplate {
        StubTemplate { code, align, fixups }
    }

    /// The bytes.
    pub const fn code(&self) -> &'static [u8] {
        self.code
    }

    /// The alignment, a power of two.
    pub const fn align(&self) -> u64 {
        self.align
    }

    /// What must be filled in.
    pub const fn fixups(&self) -> &'static [StubFixup] {
        self.fixups
    }
}

/// A place in a stub that is filled in.
#[derive(Clone, Copy, Debug)]
pub struct StubFixup {
    /// Bytes from the stub's start.
    pub offset: u32,
    /// The index of a row of the architecture. Its subject says whether the stub's target itself or its GOT slot is meant.
    pub row: u16,
    /// The addend.
    pub addend: i64,
}

/// An edge with the code around it, for decisions about instructions.
#[derive(Clone, Copy, Debug)]
pub struct CodeSite<'s> {
    /// The bytes of the whole block.
    pub block: &'s [u8],
    /// Where a known instruction starts at or before the field: a symbol's offset, or zero.
    pub start: u32,
    /// The edge. Its offset is the field's.
    pub edge: Edge,
    /// Its row.
    pub row: &'s Reloc,
    /// The target's address where it is known before layout: it is outside the batch.
    pub target: Option<Addr>,
}

/// A shorter form of an edge.
#[derive(Clone, Copy, Debug)]
pub struct Relaxed {
    /// The index of a row of the architecture, whose field may cover the opcode and rewrite it.
    pub row: u16,
    /// Where that field starts.
    pub offset: u32,
    /// The addend.
    pub addend: i64,
}

/// How a call is made.
#[derive(Clone, Copy, Debug)]
pub struct CallForm {
    /// Bytes from the callee's address to where a direct call enters it.
    pub entry: i64,
    /// The stub through which the call goes where it cannot be direct, and the index of the architecture's row that it then has in
    /// place of its own, for code behind it that has to change with it. Or why there is no stub for it.
    pub stub: Result<(StubKind, Option<u16>), &'static str>,
    /// Whether it goes through the stub even if its callee is in reach.
    pub always: bool,
}

/// An instruction that was moved out of line.
#[derive(Clone, Debug)]
pub struct Outlined {
    /// The offset in the block of the bytes that are replaced.
    pub offset: u32,
    /// What replaces them: a jump to the out-of-line code, padded.
    pub patch: Vec<u8>,
    /// The index of the architecture's row for the jump to the out-of-line code.
    pub jump_row: u16,
    /// The offset of that jump's field in `patch`, and its addend.
    pub jump: (u32, i64),
    /// The out-of-line code.
    pub code: Vec<u8>,
    /// What of it refers to the edge's target: offset, index of the architecture's row, addend.
    pub target_fixups: Vec<(u32, u16, i64)>,
    /// What of it refers back to the block: offset, index of the architecture's row, addend relative to the block's start.
    pub block_fixups: Vec<(u32, u16, i64)>,
}

/// The machine that a batch is for: an architecture in one of its byte orders and pointer widths.
#[derive(Clone, Copy)]
pub struct Target {
    /// The architecture.
    pub arch: &'static dyn TargetArch,
    /// The byte order of data.
    pub endian: Endian,
    /// The size of a pointer in bytes: four or eight.
    pub pointer_bytes: u8,
    /// The name of the format of its objects.
    pub format: &'static str,
    /// The name of the calling convention of its functions, where that is not the usual one of the architecture
    /// ([`RelocTable::convention`](crate::reloc::RelocTable::convention), [`TargetArch::convention`]); empty otherwise.
    pub convention: &'static str,
    /// Where static programs have their thread-local variables, if that is known
    /// ([`RelocTable::static_thread_locals`](crate::reloc::RelocTable::static_thread_locals)).
    pub thread_locals: Option<StaticThreadLocals>,
}

impl Target {
    /// The index of the row that stores a pointer of this target, in the batch's table; `None` if the architecture has none.
    pub fn pointer_row(&self) -> Option<u16> {
        self.arch.info().pointer_row(self.pointer_bytes)
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.arch.info().name() == other.arch.info().name()
            && (self.endian, self.pointer_bytes, self.format) == (other.endian, other.pointer_bytes, other.format)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u32::from(self.pointer_bytes) * 8;
        write!(f, "{} {}, {}-endian, {bits}-bit", self.format, self.arch.info().name(), self.endian.name())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
