//! Which formats, architectures and relocation tables there are.
//!
//! Backends submit a [`Plugin`] through `inventory`, and [`Registry::global`] collects them; or a registry is built by hand.
//! Entries are sorted by name, so nothing depends on the order in which a linker placed them; the same entry twice is an error.

use crate::arch::{Target, TargetArch};
use crate::error::LinkError;
use crate::format::{ObjectFormat, ObjectHeader};
use crate::reloc::{RelocTable, RowTable};
use std::collections::BTreeSet;
use std::fmt;

/// One thing that a backend offers.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Plugin {
    /// A way to write objects.
    Format(&'static dyn ObjectFormat),
    /// A machine.
    Arch(&'static dyn TargetArch),
    /// What ties the two together.
    Relocs(RelocTable),
}

#[cfg(feature = "inventory")]
inventory::collect!(Plugin);

/// Submits [`Plugin`]s of a backend to every [`Registry::global`] of the program.
///
/// A program gets them only if its code names the backend's crate (`use jitlink_elf as _;`), because the Rust compiler does not
/// link crates that nobody names.
#[cfg(feature = "inventory")]
#[macro_export]
macro_rules! register {
    ($($plugin:expr),+ $(,)?) => {
        $($crate::inventory::submit! { $plugin })+
    };
}

/// The backends of a program.
#[derive(Clone, Default)]
pub struct Registry {
    formats: Vec<&'static dyn ObjectFormat>,
    archs: Vec<&'static dyn TargetArch>,
    tables: Vec<RelocTable>,
}

impl Registry {
    /// No backends.
    pub fn empty() -> Registry {
        Registry::default()
    }

    /// Every backend that this program links.
    #[cfg(feature = "inventory")]
    pub fn global() -> Result<Registry, LinkError> {
        inventory::iter::<Plugin>().try_fold(Registry::empty(), |registry, plugin| registry.with(*plugin))
    }

    /// This registry with one more entry; an error if it is there already.
    pub fn with(mut self, plugin: Plugin) -> Result<Registry, LinkError> {
        let duplicate = match plugin {
            Plugin::Format(format) => self.formats.iter().any(|known| known.name() == format.name()),
            Plugin::Arch(arch) => self.archs.iter().any(|known| known.info().name() == arch.info().name()),
            Plugin::Relocs(table) => self.tables.iter().any(|known| {
                let orders = (known.byte_order(), table.byte_order());
                table_key(known) == table_key(&table)
                    && (orders.0.is_none() || orders.1.is_none() || orders.0 == orders.1)
            }),
        };
        if duplicate {
            return Err(LinkError::Request(format!("the backend {plugin:?} is registered twice")));
        }
        match plugin {
            Plugin::Format(format) => self.formats.push(format),
            Plugin::Arch(arch) => self.archs.push(arch),
            Plugin::Relocs(table) => {
                if let Some(pair) = table.rows().windows(2).find(|pair| pair[0].raw() >= pair[1].raw()) {
                    let (format, arch) = (table.format(), table.arch());
                    let (first, second) = (pair[0].name(), pair[1].name());
                    return Err(LinkError::Request(format!(
                        "the {format} table of {arch} is not sorted by raw number: {first} stands before {second}"
                    )));
                }
                self.tables.push(table);
            }
        }
        self.formats.sort_by_key(|format| format.name());
        self.archs.sort_by_key(|arch| arch.info().name());
        self.tables.sort_by_key(|table| (table_key(table), table.byte_order()));
        Ok(self)
    }

    /// The formats, sorted by name.
    pub fn formats(&self) -> &[&'static dyn ObjectFormat] {
        &self.formats
    }

    /// The architectures, sorted by name.
    pub fn archs(&self) -> &[&'static dyn TargetArch] {
        &self.archs
    }

    /// The relocation tables, sorted by format, machine and pointer size.
    pub fn tables(&self) -> &[RelocTable] {
        &self.tables
    }

    /// The format that recognises these bytes.
    pub fn recognize(&self, bytes: &[u8]) -> Option<&'static dyn ObjectFormat> {
        self.formats.iter().copied().find(|format| format.recognize(bytes))
    }

    /// The target of an object with this header, and the rows that its edges may use.
    pub fn target(
        &self,
        format: &'static dyn ObjectFormat,
        header: &ObjectHeader,
        object: &str,
    ) -> Result<(Target, RowTable), LinkError> {
        let fits = |table: &&RelocTable| {
            table_key(table) == (format.name(), header.machine, header.pointer_bytes)
                && table.byte_order().is_none_or(|order| order == header.endian)
        };
        let found = self.tables.iter().find(fits).and_then(|table| {
            let arch = self.archs.iter().find(|arch| arch.info().name() == table.arch())?;
            Some((*table, *arch))
        });
        let Some((table, arch)) = found else {
            // A pair may have several tables, for several numbers of one machine.
            let pairs: BTreeSet<String> =
                self.tables.iter().map(|table| format!("{} {}", table.format(), table.arch())).collect();
            let pairs = Vec::from_iter(pairs);
            return Err(LinkError::NoBackend {
                object: object.into(),
                format: format.name().into(),
                machine: header.machine,
                pointer_bits: u32::from(header.pointer_bytes) * 8,
                registered: if pairs.is_empty() { "none".into() } else { pairs.join(", ") },
            });
        };
        let rows = RowTable::new(arch.info().rows(), table.rows())?;
        let format = format.name();
        let convention = arch.convention(header).filter(|name| !name.is_empty()).unwrap_or(table.convention());
        let (endian, pointer_bytes) = (header.endian, header.pointer_bytes);
        let thread_locals = table.thread_local_layout();
        let target = Target { arch, endian, pointer_bytes, format, convention, thread_locals };
        Ok((target, rows))
    }
}

fn table_key(table: &RelocTable) -> (&'static str, u32, u8) {
    (table.format(), table.machine(), table.pointer_bytes())
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Plugin::Format(format) => write!(f, "format {}", format.name()),
            Plugin::Arch(arch) => write!(f, "architecture {}", arch.info().name()),
            Plugin::Relocs(table) => write!(f, "relocation table {} {}", table.format(), table.arch()),
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let formats = self.formats.iter().map(|format| format.name());
        let archs = self.archs.iter().map(|arch| arch.info().name());
        let tables = self.tables.iter().map(|table| (table.format(), table.arch()));
        f.debug_struct("Registry")
            .field("formats", &formats.collect::<Vec<_>>())
            .field("archs", &archs.collect::<Vec<_>>())
            .field("tables", &tables.collect::<Vec<_>>())
            .finish()
    }
}
