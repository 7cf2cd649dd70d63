//! BTF as the kernel accepts it.
//!
//! What compilers write says more than the kernel wants to know when a program is loaded: declarations of what is
//! elsewhere, functions in sections, sections of which nothing is left, parameters without names, names with characters
//! that C does not have. Loaders rewrite it; the rules are those of `kernel/bpf/btf.c` and of libbpf
//! (`bpf_object__collect_externs`). No type changes its number.

use super::{Btf, BtfBuilder, BtfError, Int, Kind, Linkage, SectionVar, Type, TypeId, fields, strings::Strings};

/// The section of names that the kernel defines; it holds no memory.
const KERNEL_SYMBOLS: &str = ".ksyms";
/// The longest name that the kernel takes, its terminator not counted.
const LONGEST_NAME: usize = 511;

impl Btf {
    /// The same types as the kernel accepts them for a program, with variables where the sections say that they are.
    ///
    /// - Declared functions and variables become global ones.
    /// - What `.ksyms` lists become variables of four bytes, one after the other.
    /// - Variables without a size are left out of their section, and a section without variables becomes a pointer to
    ///   `void`.
    /// - Parameters of functions get a name where they have none, and characters that names must not have become `_`.
    pub fn for_kernel(&self) -> Result<Btf, BtfError> {
        let last = self.len() as u32;
        let mut rewrite = Rewrite {
            btf: self,
            strings: Strings::from_bytes(if self.strings.is_empty() { vec![0] } else { self.strings.clone() }),
            int: TypeId(last + 1),
            symbol: TypeId(last + 2),
            named: self.function_prototypes(),
            symbols: self.kernel_symbols(),
        };
        let mut records = Vec::with_capacity(self.len());
        for ty in self.types() {
            records.push(rewrite.record(&ty)?);
        }
        let needs_symbol = self.kernel_section().is_some();
        let mut builder = BtfBuilder::with_strings(rewrite.strings);
        for words in records {
            builder.raw(&[words[0], words[1], words[2]], &words[3..])?;
        }
        if needs_symbol {
            let int = builder.int("int", Int { size: 4, bits: 32, offset: 0, encoding: 1 })?;
            builder.variable("kernel_symbol", int, Linkage::Global)?;
        }
        builder.finish()
    }

    fn kernel_section(&self) -> Option<Type<'_>> {
        self.find_by_name_kind(KERNEL_SYMBOLS, Kind::Datasec)
    }

    /// Which types are prototypes of functions rather than of pointers alone.
    fn function_prototypes(&self) -> Vec<bool> {
        let mut named = vec![false; self.len() + 1];
        for func in self.types().filter(|ty| ty.kind() == Kind::Func) {
            named[func.target().unwrap_or_default().0 as usize] = true;
        }
        named
    }

    /// Which types are variables that the kernel defines.
    fn kernel_symbols(&self) -> Vec<bool> {
        let mut symbols = vec![false; self.len() + 1];
        for var in self.kernel_section().iter().flat_map(|section| section.section_vars()) {
            symbols[var.ty.0 as usize] = true;
        }
        symbols
    }
}

struct Rewrite<'a> {
    btf: &'a Btf,
    strings: Strings,
    /// The types that are added if there is a section of the kernel's names: an integer and a variable of it.
    int: TypeId,
    symbol: TypeId,
    named: Vec<bool>,
    symbols: Vec<bool>,
}

impl Rewrite<'_> {
    fn record(&mut self, ty: &Type<'_>) -> Result<Vec<u32>, BtfError> {
        let mut words = ty.words().to_vec();
        match ty.kind() {
            Kind::Datasec => return Ok(self.section(ty)),
            Kind::DeclTag | Kind::TypeTag => return Ok(words),
            Kind::Func if ty.linkage() == Some(Linkage::Extern) => words[1] -= 1,
            Kind::Var => {
                if ty.linkage() == Some(Linkage::Extern) {
                    words[3] = Linkage::Global as u32;
                }
                if self.symbols[ty.id().0 as usize] {
                    words[2] = self.int.0;
                }
            }
            _ => {}
        }
        for position in fields::names(ty.kind(), words.len()) {
            words[position] = self.name(words[position])?;
        }
        if ty.kind() == Kind::Func && words[0] == 0 {
            words[0] = self.strings.add(b"anonymous")?;
        }
        if self.named[ty.id().0 as usize] {
            let unnamed = self.strings.add(b"_")?;
            let params = words[3..].chunks_exact_mut(2).filter(|param| param[0] == 0 && param[1] != 0);
            params.for_each(|param| param[0] = unnamed);
        }
        Ok(words)
    }

    fn section(&self, ty: &Type<'_>) -> Vec<u32> {
        let words = ty.words();
        let symbols = ty.name() == KERNEL_SYMBOLS;
        let mut vars: Vec<SectionVar> = ty.section_vars().filter(|var| symbols || var.size > 0).collect();
        let mut size = words[2];
        if symbols {
            for (var, offset) in vars.iter_mut().zip((0..).step_by(4)) {
                let is_var = self.btf.ty(var.ty).is_some_and(|ty| ty.kind() == Kind::Var);
                *var = SectionVar { ty: if is_var { var.ty } else { self.symbol }, offset, size: 4 };
            }
            size = vars.len() as u32 * 4;
        }
        if vars.is_empty() || size == 0 {
            return vec![0, (Kind::Ptr as u32) << 24, 0];
        }
        let head = [words[0], (Kind::Datasec as u32) << 24 | vars.len() as u32, size];
        head.into_iter().chain(vars.iter().flat_map(|var| [var.ty.0, var.offset, var.size])).collect()
    }

    /// A name as the kernel takes it: letters, digits, `_` and `.`, no digit first.
    fn name(&mut self, offset: u32) -> Result<u32, BtfError> {
        let name = self.btf.string(offset).unwrap_or_default();
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        if name.iter().all(allowed) && !name.first().is_some_and(u8::is_ascii_digit) && name.len() <= LONGEST_NAME {
            return Ok(offset);
        }
        let mut clean: Vec<u8> = name.iter().map(|byte| if allowed(byte) { *byte } else { b'_' }).collect();
        if clean[0].is_ascii_digit() {
            clean.insert(0, b'_');
        }
        clean.truncate(LONGEST_NAME);
        self.strings.add(&clean)
    }
}
