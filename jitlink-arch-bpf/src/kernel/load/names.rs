//! What the kernel defines: types, functions and variables by name.

use crate::btf::{Btf, Kind, TypeId};
use crate::kernel::error::KernelError;
use std::cell::OnceCell;

/// The kernel's names, read when the first is looked up.
pub(super) struct KernelNames<'a> {
    given: Option<&'a Btf>,
    own: OnceCell<Btf>,
}

impl<'a> KernelNames<'a> {
    pub(super) fn new(given: Option<&'a Btf>) -> KernelNames<'a> {
        KernelNames { given, own: OnceCell::new() }
    }

    /// The kernel's types.
    pub(super) fn types(&self) -> Result<&Btf, KernelError> {
        if let Some(btf) = self.given.or(self.own.get()) {
            return Ok(btf);
        }
        let read = Btf::kernel().map_err(|error| {
            let what =
                format!("the kernel's types cannot be read ({error}); it needs CONFIG_DEBUG_INFO_BTF, or types given");
            KernelError::image("/sys/kernel/btf/vmlinux", what)
        })?;
        Ok(self.own.get_or_init(|| read))
    }

    /// The number of a type of a kind by its name. A flavour, what follows three underscores, is no part of the kernel's name.
    pub(super) fn find(&self, name: &str, kind: Kind) -> Result<Option<TypeId>, KernelError> {
        let essential = name.find("___").filter(|at| *at > 0).map_or(name, |at| &name[..at]);
        Ok(self.types()?.find_by_name_kind(essential, kind).map(|ty| ty.id()))
    }
}

/// The address of a symbol of the kernel, where it tells addresses at all.
pub(super) fn address(name: &str) -> Result<Option<u64>, KernelError> {
    let path = "/proc/kallsyms";
    let text = std::fs::read_to_string(path).map_err(|error| KernelError::image(path, error.to_string()))?;
    // A line is an address, a letter, a name, and for modules the module.
    let find = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (address, _, own) = (words.next()?, words.next()?, words.next()?);
        (own == name).then(|| u64::from_str_radix(address, 16).ok()).flatten()
    };
    match text.lines().find_map(find) {
        Some(0) => Err(KernelError::image(name, "the kernel hides its address (kernel.kptr_restrict)")),
        found => Ok(found),
    }
}
