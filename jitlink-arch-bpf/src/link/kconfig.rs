//! Values of the kernel's configuration.
//!
//! A program declares `extern unsigned int CONFIG_HZ __kconfig` and finds the number of the kernel at hand there. The text that
//! says it is that of `.config`, `/boot/config-*` and, unpacked, `/proc/config.gz`: `NAME=y`, `m`, `n`, a number or a string in
//! quotes. Three names are no part of it: `LINUX_KERNEL_VERSION`, and `LINUX_HAS_…` for what libbpf finds
//! out by asking the kernel.

use crate::btf::{Btf, Kind, Type};
use hashbrown::HashMap;
use jitlink_core::Endian;

/// The values of names of a kernel's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kconfig {
    values: HashMap<String, String>,
    /// What is not among the values is asked of the running kernel.
    asks_kernel: bool,
}

/// The values that a text says. Lines that say none, such as comments, are passed over.
pub(super) fn values(text: &str) -> HashMap<String, String> {
    let said = text.lines().filter_map(|line| line.split_once('=').filter(|(name, _)| !name.starts_with('#')));
    said.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

impl Kconfig {
    /// The values that a text says. Lines that say none, such as comments, are passed over.
    pub fn parse(text: &str) -> Kconfig {
        Kconfig { values: values(text), asks_kernel: false }
    }

    /// The values of the kernel that runs (Linux), from `/boot/config-*` or `/proc/config.gz`, which are read when a program first
    /// asks for one. What it does not say is not known: then a link fails that needs it.
    pub fn running() -> Kconfig {
        Kconfig { values: HashMap::new(), asks_kernel: true }
    }

    fn value(&self, name: &str) -> Option<&str> {
        let said = self.values.get(name);
        let asked = || self.asks_kernel.then(|| super::running::values().get(name)).flatten();
        said.or_else(asked).map(String::as_str)
    }

    /// Says a value: `y`, `m`, `n`, a number, or a string in quotes.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.values.insert(name.into(), value.into());
    }

    /// These values with the number of a kernel's version (`KERNEL_VERSION(6, 1, 7)`).
    pub fn with_version(mut self, major: u8, minor: u8, patch: u8) -> Kconfig {
        // KERNEL_VERSION in the kernel's include/linux/version.h.
        let version = u32::from(major) << 16 | u32::from(minor) << 8 | u32::from(patch);
        self.set("LINUX_KERNEL_VERSION", version.to_string());
        self
    }

    /// The bytes of a variable of this name and type; `None` if nothing says its value.
    pub(super) fn bytes(&self, btf: &Btf, var: Type<'_>, endian: Endian) -> Result<Option<Vec<u8>>, String> {
        let Some(value) = self.value(var.name()) else { return Ok(None) };
        let wrong = |what: &str| format!("{} is {value}, {what}", var.name());
        let target = var.target().unwrap_or_default();
        let ty = btf.resolve(target).map_err(|error| error.to_string())?;
        let size = btf.size_of(target).map_err(|error| error.to_string())? as usize;
        if let Some(array) = ty.array() {
            let element = btf.resolve(array.element).ok().and_then(|ty| ty.int());
            let text = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            return match (element, text) {
                (Some(int), Some(text)) if int.size == 1 => string(text, size).map(Some).map_err(|what| wrong(&what)),
                _ => Err(wrong("and the variable is not a string like it")),
            };
        }
        let (number, signed) = match (ty.kind(), value) {
            (Kind::Enum, "n") => (0, false),
            (Kind::Enum, "y") => (1, false),
            (Kind::Enum, "m") => (2, false),
            (Kind::Int, letter @ ("y" | "m" | "n")) => (letter_value(ty, letter).map_err(wrong)?, false),
            (Kind::Int, text) => {
                let number = parse_number(text).ok_or_else(|| wrong("and the variable is a number"))?;
                (number, ty.int().is_some_and(|int| int.is_signed()))
            }
            _ => return Err(wrong(&format!("and the variable is {ty:?}"))),
        };
        let bits = size as u32 * 8;
        let fits = match (bits, signed) {
            (64.., _) => true,
            (bits, true) => (-(1i128 << (bits - 1))..1i128 << (bits - 1)).contains(&number),
            (bits, false) => (0..1i128 << bits).contains(&number),
        };
        if !fits || !matches!(size, 1 | 2 | 4 | 8) {
            return Err(wrong(&format!("which {size} bytes do not hold")));
        }
        let mut bytes = vec![0; size];
        endian.write(&mut bytes, number as u64);
        Ok(Some(bytes))
    }
}

/// What a letter means to a truth value or a character (libbpf, `set_kcfg_value_tri`).
fn letter_value(ty: Type<'_>, letter: &str) -> Result<i128, &'static str> {
    let Some(int) = ty.int() else { return Err("and the variable is no integer") };
    match (int.is_bool(), letter) {
        (true, "m") => Err("which a bool cannot say; use enum libbpf_tristate or char"),
        (true, letter) => Ok(i128::from(letter == "y")),
        (false, letter) if int.size == 1 => Ok(i128::from(letter.as_bytes()[0])),
        (false, _) => Err("and the variable is a number; use bool, char or enum libbpf_tristate"),
    }
}

fn parse_number(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse::<u64>().ok()?,
    };
    Some(if negative { -i128::from(value) } else { i128::from(value) })
}

/// A string with its terminator in an array of characters; what is too long is cut, as libbpf does.
fn string(text: &str, size: usize) -> Result<Vec<u8>, String> {
    let last = size.checked_sub(1).ok_or("which an array without elements cannot hold")?;
    let mut bytes = text.as_bytes()[..text.len().min(last)].to_vec();
    bytes.resize(size, 0);
    Ok(bytes)
}
