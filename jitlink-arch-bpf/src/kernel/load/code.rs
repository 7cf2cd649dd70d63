//! One array of instructions a program.

use super::maps::Maps;
use super::memory;
use super::names::{self, KernelNames};
use crate::btf::Kind;
use crate::btf::ext::CoreRelo;
use crate::core_relo::{Relocator, Target as Types};
use crate::image::{BpfImage, Extern, ExternKind, Function, Target};
use crate::insn::{self, Insn};
use crate::kernel::error::KernelError;
use hashbrown::HashMap;
use jitlink_core::Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What the source register of a 64-bit load says of its number (`BPF_PSEUDO_…`).
const MAP_FD: u8 = 1;
const MAP_VALUE: u8 = 2;
const BTF_ID: u8 = 3;
const FUNC: u8 = 4;
/// What it says of a call.
const CALL_LOCAL: u8 = 1;
const CALL_KERNEL: u8 = 2;
/// A helper that no kernel has: a call of it is refused if it can be reached, and not otherwise (libbpf's number for such calls).
const MISSING_FUNCTION: i32 = 2_002_000_000;
/// The most functions that a program may have in the kernel (`BPF_MAX_SUBPROGS`), and the main function.
const MOST_FUNCTIONS: usize = 257;

/// The instructions of a program, and where its functions begin in them.
pub(super) struct Array<'i> {
    pub(super) words: Vec<Insn>,
    pub(super) functions: Vec<(&'i Function, usize)>,
}

/// Makes arrays of instructions from an image.
pub(super) struct Coder<'i> {
    image: &'i BpfImage,
    maps: &'i Maps,
    names: &'i KernelNames<'i>,
    /// The bytes of functions that depend on the kernel's types, as they are for this kernel.
    relocated: HashMap<Addr, Vec<u8>>,
}

impl<'i> Coder<'i> {
    /// A coder for an image whose maps exist. Applies what depends on the kernel's types.
    pub(super) fn new(
        image: &'i BpfImage,
        maps: &'i Maps,
        names: &'i KernelNames<'i>,
    ) -> Result<Coder<'i>, KernelError> {
        let mut coder = Coder { image, maps, names, relocated: HashMap::new() };
        if !image.types.relocations.is_empty() {
            coder.relocate()?;
        }
        Ok(coder)
    }

    pub(super) fn names(&self) -> &'i KernelNames<'i> {
        self.names
    }

    fn relocate(&mut self) -> Result<(), KernelError> {
        let types = Types::new(self.names.types()?);
        let mut relocator = Relocator::new(&self.image.types.btf, &types);
        for (address, relocation) in &self.image.types.relocations {
            let Some(function) = self.image.function_at(*address) else { continue };
            let bytes = match self.relocated.entry(function.address) {
                hashbrown::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                hashbrown::hash_map::Entry::Vacant(entry) => {
                    let bytes = memory(self.image, &function.name, function.address, function.size)?;
                    entry.insert(bytes.to_vec())
                }
            };
            let relocation = CoreRelo { insn_off: (address.0 - function.address.0) as u32, ..*relocation };
            relocator
                .apply(bytes, self.image.endian, &relocation)
                .map_err(|error| KernelError::image(&function.name, error.to_string()))?;
        }
        Ok(())
    }

    /// The array of a program: its function first, then all that it reaches. As with libbpf, what a function calls first comes
    /// next, with all that this one reaches, so that equal programs are equal arrays.
    pub(super) fn program(&self, entry: &'i Function) -> Result<Array<'i>, KernelError> {
        let mut array = Array { words: Vec::new(), functions: Vec::new() };
        let mut starts = HashMap::new();
        let mut open = vec![vec![entry].into_iter()];
        while let Some(top) = open.last_mut() {
            let Some(function) = top.next() else {
                open.pop();
                continue;
            };
            let first = array.words.len();
            if starts.try_insert(function.address, first).is_err() {
                continue;
            }
            if array.functions.len() == MOST_FUNCTIONS {
                let what = format!("it reaches more than {MOST_FUNCTIONS} functions, the most that the kernel takes");
                return Err(KernelError::image(&entry.name, what));
            }
            array.functions.push((function, first));
            array.words.extend(self.words(function)?);
            open.push(self.reached(function, &array.words[first..])?.into_iter());
        }
        for (function, first) in &array.functions {
            let own = *first..*first + (function.size / 8) as usize;
            self.settle(function, &mut array.words[own], *first, &starts)?;
        }
        Ok(array)
    }

    fn words(&self, function: &Function) -> Result<Vec<Insn>, KernelError> {
        let bytes = match self.relocated.get(&function.address) {
            Some(bytes) => bytes,
            None => memory(self.image, &function.name, function.address, function.size)?,
        };
        insn::words(bytes, self.image.endian)
            .ok_or_else(|| KernelError::image(&function.name, "it does not end where an instruction does"))
    }

    /// The functions that one calls, or whose addresses it takes.
    fn reached(&self, function: &Function, words: &[Insn]) -> Result<Vec<&'i Function>, KernelError> {
        let mut reached = Vec::new();
        for (at, word) in words.iter().enumerate() {
            if let Some(address) = self.local(function, at, *word, words.get(at + 1)) {
                reached.push(self.function(function, address)?);
            }
        }
        Ok(reached)
    }

    /// The address of the function of the program that a word calls or loads, if it does.
    fn local(&self, function: &Function, at: usize, word: Insn, next: Option<&Insn>) -> Option<Addr> {
        let address = Addr(function.address.0.wrapping_add(8 * at as u64));
        let target = self.image.reference_at(address);
        match (word.code, target) {
            (0x85, Some(Target::Extern(_))) => None,
            (0x85, _) if word.src == CALL_LOCAL => {
                Some(Addr(address.0.wrapping_add_signed((i64::from(word.imm) + 1) * 8)))
            }
            (0x18, Some(Target::Function(_))) => Some(Addr(held(word, *next?))),
            _ => None,
        }
    }

    /// The function at an address that another refers to.
    fn function(&self, from: &Function, address: Addr) -> Result<&'i Function, KernelError> {
        match self.image.function_at(address) {
            Some(function) if function.address == address => Ok(function),
            Some(function) => {
                let what = format!("it calls {} at {address}, which is not its first instruction", function.name);
                Err(KernelError::image(&from.name, what))
            }
            None => Err(KernelError::image(&from.name, format!("it calls {address}, where there is no function"))),
        }
    }

    /// Replaces addresses by what the kernel takes for them.
    fn settle(
        &self,
        function: &Function,
        words: &mut [Insn],
        first: usize,
        starts: &HashMap<Addr, usize>,
    ) -> Result<(), KernelError> {
        for at in 0..words.len() {
            let (word, next) = (words[at], words.get(at + 1).copied());
            if let Some(address) = self.local(function, at, word, next.as_ref()) {
                let target = self.function(function, address)?;
                let distance = starts[&target.address] as i32 - (first + at + 1) as i32;
                match next {
                    Some(next) if word.is_wide() => pair(&mut words[at..], (word, next), FUNC, (distance, 0)),
                    _ => words[at].imm = distance,
                }
                continue;
            }
            let address = Addr(function.address.0.wrapping_add(8 * at as u64));
            match (self.image.reference_at(address), next) {
                (Some(Target::Extern(index)), _) if word.code == 0x85 => {
                    words[at] = self.kernel_call(index, word)?;
                }
                (Some(target), Some(next)) if word.is_wide() => {
                    let (kind, numbers) = self.immediate(function, target)?;
                    pair(&mut words[at..], (word, next), kind, numbers);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The two numbers of a 64-bit load, and what they are.
    fn immediate(&self, function: &Function, target: Target) -> Result<(u8, (i32, i32)), KernelError> {
        let value = |(fd, offset): (BorrowedFd<'_>, i64)| match i32::try_from(offset) {
            Ok(offset) => Ok((MAP_VALUE, (fd.as_raw_fd(), offset))),
            Err(_) => Err(KernelError::image(&function.name, format!("an offset of {offset:#x} in data is too far"))),
        };
        match target {
            Target::Map(index) => Ok((MAP_FD, (self.maps.declared(index)?.as_raw_fd(), 0))),
            Target::Data { block, offset } => value(self.maps.data(self.image, block, offset)?),
            Target::Function(_) => Err(KernelError::image(&function.name, "it loads a function's address in half")),
            Target::Extern(index) => {
                let name = self.extern_at(index)?;
                match (name.kind, name.address) {
                    (ExternKind::Config, Some(address)) => value(self.maps.data_at(self.image, address)?),
                    _ => self.kernel_address(name),
                }
            }
        }
    }

    fn extern_at(&self, index: usize) -> Result<&'i Extern, KernelError> {
        let missing =
            || KernelError::image("externs", format!("the image has no name of the kernel of number {index}"));
        self.image.externs.get(index).ok_or_else(missing)
    }

    /// The address of something of the kernel: by the number of its type, or as it is where the program does not know its type.
    fn kernel_address(&self, name: &Extern) -> Result<(u8, (i32, i32)), KernelError> {
        let split = |address: u64| (0, (address as i32, (address >> 32) as i32));
        let typed = name.kind == ExternKind::Function || self.is_typed(name);
        let kind = if name.kind == ExternKind::Function { Kind::Func } else { Kind::Var };
        let found = match typed {
            true => self.names.find(&name.name, kind)?.map(|id| (BTF_ID, (id.0.cast_signed(), 0))),
            false => names::address(&name.name)?.map(split),
        };
        match found {
            Some(found) => Ok(found),
            None if name.weak => Ok(split(0)),
            None => Err(KernelError::image(&name.name, "this kernel has no such variable or function")),
        }
    }

    /// Whether the program says what type a variable of the kernel has; `void` stands for any.
    fn is_typed(&self, name: &Extern) -> bool {
        let btf = &self.image.types.btf;
        let var = btf.ty(crate::btf::TypeId(name.type_id)).and_then(|ty| ty.target());
        var.and_then(|ty| btf.strip_modifiers(ty).ok()).is_some_and(|ty| ty.kind() != Kind::Void)
    }

    /// The number that libbpf gives a name of the kernel: values of the configuration come first, the others by name.
    fn rank(&self, name: &Extern) -> i32 {
        let is_config = |other: &Extern| other.kind == ExternKind::Config;
        let before = |other: &&Extern| is_config(other) || other.name < name.name;
        self.image.externs.iter().filter(before).count() as i32
    }

    fn kernel_call(&self, index: usize, word: Insn) -> Result<Insn, KernelError> {
        let name = self.extern_at(index)?;
        match self.names.find(&name.name, Kind::Func)? {
            Some(id) => Ok(Insn { src: CALL_KERNEL, off: 0, imm: id.0.cast_signed(), ..word }),
            None if name.weak => Ok(Insn { src: 0, off: 0, imm: MISSING_FUNCTION + self.rank(name), ..word }),
            None => Err(KernelError::image(&name.name, "this kernel has no such function")),
        }
    }
}

/// The number that a 64-bit load holds.
fn held(word: Insn, next: Insn) -> u64 {
    u64::from(word.imm as u32) | u64::from(next.imm as u32) << 32
}

/// Stores the two numbers of a 64-bit load.
fn pair(words: &mut [Insn], (word, next): (Insn, Insn), kind: u8, (low, high): (i32, i32)) {
    words[0] = Insn { src: kind, imm: low, ..word };
    words[1] = Insn { imm: high, ..next };
}
