//! The values that linkers are asked about.

use jitlink_arch_ppc::{ELF_PPC32, ELF_PPC64LE};
use jitlink_core::Endian;
use jitlink_core::reloc::{Base, Field, Overflow, Reloc, RelocTable, Subject};

/// A table, and the GNU tools that know it.
pub(crate) struct Machine {
    pub(crate) table: RelocTable,
    /// What the tools' names begin with, and the package that they are in.
    pub(crate) tools: (&'static str, &'static str),
    /// Options of the assembler and of the linker.
    pub(crate) options: (&'static [&'static str], &'static [&'static str]),
    /// What the linker hears where slots are asked for.
    pub(crate) slots: &'static [&'static str],
    /// What the linker calls the little-endian and the big-endian machine.
    emulations: [&'static str; 2],
    /// The section that has the base of what counts from an anchor.
    pub(crate) anchored: &'static str,
}

pub(crate) const MACHINE64: Machine = Machine {
    table: ELF_PPC64LE,
    tools: ("powerpc64le-linux-gnu-", "binutils-powerpc64le-linux-gnu"),
    options: (&["-a64", "-mpower10"], &["--no-toc-optimize"]),
    slots: &["--no-multi-toc"],
    emulations: ["elf64lppc", "elf64ppc"],
    anchored: ".toc",
};

pub(crate) const MACHINE32: Machine = Machine {
    table: ELF_PPC32,
    tools: ("powerpc-linux-gnu-", "binutils-powerpc-linux-gnu"),
    options: (&["-a32", "-mregnames"], &[]),
    slots: &["--secure-plt"],
    emulations: ["elf32lppc", "elf32ppc"],
    anchored: ".sdata",
};

impl Machine {
    /// What the assembler hears for a byte order, and what the linker calls the machine. One assembler, linker and copier serve both.
    pub(crate) fn order(&self, endian: Endian) -> (&'static str, &'static str) {
        let [little, big] = self.emulations;
        match endian {
            Endian::Little => ("-mlittle-endian", little),
            Endian::Big => ("-mbig-endian", big),
        }
    }
}

/// A relocation and the value that its field is to get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) row: &'static Reloc,
    pub(crate) value: i64,
}

/// How many bytes stand at each place.
pub(crate) const SIZE: usize = 8;

impl Case {
    /// What stands at the place before: an instruction with ones for a displacement, or ones.
    pub(crate) fn filler(&self, endian: Endian) -> Vec<u8> {
        let name = self.row.name();
        let word: u32 = match () {
            () if name.contains("14") && !name.contains("34") => 0x4182_ffff, // beqla
            () if name.contains("24") => 0x4bff_ffff,                         // bla
            () => 0xffff_ffff,
        };
        let mut bytes = vec![0xff; SIZE];
        endian.write(&mut bytes[..4], u64::from(word));
        bytes
    }

    /// Where in it the field starts: halfwords of instructions are where the byte order puts them.
    pub(crate) fn field_offset(&self, endian: Endian) -> usize {
        match (self.row.field().bytes(), endian) {
            (2, Endian::Big) => 2,
            _ => 0,
        }
    }

    /// Whether the value is past a limit.
    fn is_refused(&self) -> bool {
        self.row.limits().is_some_and(|(min, max)| {
            let rounded = i128::from(self.value) + i128::from(self.row.field().rounding());
            rounded < min || rounded > max
        })
    }

    /// Whether GNU ld accepts what does not fit.
    pub(crate) fn is_let_pass(&self) -> bool {
        let Some((min, max)) = self.row.limits().filter(|_| is_wide(self.row)) else { return false };
        let upper = if self.row.overflow() == Overflow::Bitfield { max } else { max * 2 + 1 };
        self.is_refused() && (min * 2..=upper).contains(&i128::from(self.value))
    }
}

/// What GNU ld is asked, in the order of the table.
pub(crate) fn all(machine: &'static Machine) -> impl Iterator<Item = Case> {
    every(machine).filter(|case| !case.is_let_pass())
}

/// What LLD is asked: what assemblers know. It has no base for what counts from an anchor, and version 22 crashes over some offsets of variables of threads.
pub(crate) fn of_lld(machine: &'static Machine) -> impl Iterator<Item = Case> {
    let asked = |row: &Reloc| {
        matches!(row.base(), Base::Zero | Base::Place) && matches!(row.subject(), Subject::Symbol | Subject::Callee)
    };
    every(machine).filter(move |case| asked(case.row))
}

/// Whether GNU ld's limits are twice as far as what the field can say: so they are downwards for its bit fields, and both ways for
/// absolute branches of 64 bits.
fn is_wide(row: &Reloc) -> bool {
    row.overflow() == Overflow::Bitfield || row.name() == "R_PPC64_ADDR24"
}

/// All cases, in the order of the table.
fn every(machine: &'static Machine) -> impl Iterator<Item = Case> {
    let asked = |row: &&Reloc| {
        use Subject::{Callee, DtpOffset, Symbol, TlsModule, TpOffset};
        let plain = matches!(row.subject(), Symbol | Callee | TpOffset | DtpOffset | TlsModule);
        plain && row.refusal().is_none() && row.field().bytes() > 0
    };
    machine
        .table
        .rows()
        .iter()
        .filter(asked)
        .flat_map(|row| values_of(machine, row).into_iter().map(move |value| Case { row, value }))
}

/// The values that a row is asked about.
pub(crate) fn values_of(machine: &Machine, row: &'static Reloc) -> Vec<i64> {
    if row.subject() == Subject::TlsModule {
        // The number of an executable (ELF Handling For Thread-Local Storage, "Run-Time Handling").
        return vec![1];
    }
    let mut values: Vec<i64> = values(row.field());
    if let Some((min, max)) = row.limits() {
        values.extend(limits(row, min, max));
        if is_wide(row) {
            values.extend(limits(row, min * 2, (max + 1) * 2 - 1));
        }
    }
    // What 32 bits cannot say.
    let is_there = |value: &i64| machine.table.pointer_bytes() == 8 || (-1 << 31..1 << 32).contains(value);
    values.retain(is_there);
    values.sort_unstable();
    values.dedup();
    values
}

/// Values that show every bit.
fn values(field: &Field) -> Vec<i64> {
    let step = i64::from(field.alignment());
    let all = [0, 0x7ff8, 0x8000, -0x8000, 0x1234_5678, -0x1234_5678, 0x1_2345_6789_abc8, -0x0123_4567_89ab_cdf0];
    let fits = |value: &i64| field.value_bits() >= 64 || value.unsigned_abs() < 1 << (field.value_bits() - 1);
    all.into_iter().map(|value| value / step * step).filter(fits).collect()
}

/// The last values that fit, and the first that do not.
fn limits(row: &Reloc, min: i128, max: i128) -> Vec<i64> {
    let (step, round) = (i128::from(row.field().alignment()), i128::from(row.field().rounding()));
    let [low, high] = [(min - round + step - 1).div_euclid(step) * step, (max - round).div_euclid(step) * step];
    [low - step, low, high, high + step].into_iter().map(|value| value as i64).collect()
}
