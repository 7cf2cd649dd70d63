//! What core says about memory, in a form that can be sent.

use super::codec::{Bytes, Decoder, Encoder, Wire, WireError};
use jitlink_core::executor::{
    IndirectSlot, MemoryRequest, PointerArray, PointerPlace, SegmentRequest, ThreadLocalAccess, ThreadLocalQuery,
    ThreadLocalVariable,
};
use jitlink_core::graph::{ExportName, InitStage, Initialisers, Protection, Residence};
use jitlink_core::{Addr, AddrRange, Endian};

/// An action of a batch. What only the linking side uses (names, lines) stays there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireAction {
    /// Registers the unwind records at an address, of a size.
    RegisterEhFrame(Addr, u64),
    /// Makes a batch's segments known under its handle.
    Describe(Vec<(Addr, u64)>, Addr),
    /// Makes slots of indirect functions known.
    ResolveOnCall(Vec<IndirectSlot>),
    /// Registers the table of functions at an address, of so many records of so many bytes, which count from the base of the image.
    RegisterFunctionTable(Addr, (u64, u64), Addr),
}

/// Reserved memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedRecord {
    /// Its number.
    pub number: u32,
    /// Where each segment starts.
    pub starts: Vec<Addr>,
    /// The near region.
    pub region: AddrRange,
}

/// An array of function pointers.
pub type ArrayRecord = PointerArray;

/// A question about a thread-local variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryRecord {
    /// The variable's offset in the block of the request, or its name.
    pub variable: Result<u64, Bytes>,
    /// How it is found.
    pub access: ThreadLocalAccess,
}

impl QueryRecord {
    /// What core asks.
    pub fn new(query: &ThreadLocalQuery<'_>) -> QueryRecord {
        let variable = match query.variable {
            ThreadLocalVariable::Own(offset) => Ok(offset),
            ThreadLocalVariable::Named(name) => Err(Bytes(name.to_vec())),
        };
        QueryRecord { variable, access: query.access }
    }

    /// As core asks it.
    pub fn query(&self) -> ThreadLocalQuery<'_> {
        let variable = match &self.variable {
            Ok(offset) => ThreadLocalVariable::Own(*offset),
            Err(name) => ThreadLocalVariable::Named(&name.0),
        };
        ThreadLocalQuery { variable, access: self.access }
    }
}

/// How a shared library calls what it exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportRecord {
    /// By a name.
    Name(Bytes),
    /// By a number.
    Ordinal(u16),
}

impl ExportRecord {
    /// What core asks for.
    pub fn new(export: ExportName<'_>) -> ExportRecord {
        match export {
            ExportName::Name(name) => ExportRecord::Name(Bytes(name.to_vec())),
            ExportName::Ordinal(number) => ExportRecord::Ordinal(number),
        }
    }
}

impl Wire for ExportRecord {
    const WHAT: &'static str = "an export";
    const LEAST: usize = 3;

    fn encode(&self, to: &mut Encoder) {
        match self {
            ExportRecord::Name(name) => _ = to.put(&0u8).put(name),
            ExportRecord::Ordinal(number) => _ = to.put(&1u8).put(number),
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<ExportRecord, WireError> {
        Ok(match from.get::<u8>()? {
            0 => ExportRecord::Name(from.get()?),
            1 => ExportRecord::Ordinal(from.get()?),
            value => return Err(WireError::Unknown { what: "export", value: value.into() }),
        })
    }
}

/// What is asked of shared libraries, by the names of their files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportsRecord {
    /// The libraries.
    pub libraries: Vec<Bytes>,
    /// Each with the number of its library in that list.
    pub imports: Vec<(u32, ExportRecord)>,
    /// Where libraries are searched first that are not loaded; `None` if those must not be loaded.
    pub search: Option<Vec<Bytes>>,
}

impl Wire for ImportsRecord {
    const WHAT: &'static str = "imports";
    const LEAST: usize = 9;

    fn encode(&self, to: &mut Encoder) {
        to.put(&self.libraries).put(&self.imports).put(&self.search);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<ImportsRecord, WireError> {
        Ok(ImportsRecord { libraries: from.get()?, imports: from.get()?, search: from.get()? })
    }
}

/// A value out of a list, by its position there.
fn pick<T: Copy>(from: &mut Decoder<'_>, all: &[T], what: &'static str) -> Result<T, WireError> {
    let value: u8 = from.get()?;
    all.get(usize::from(value)).copied().ok_or(WireError::Unknown { what, value: value.into() })
}

/// The position of a value in such a list.
fn place<T: PartialEq>(value: &T, all: &[T], to: &mut Encoder) {
    let position = all.iter().position(|known| known == value).unwrap_or(usize::from(u8::MAX));
    (position as u8).encode(to);
}

const PROTECTIONS: &[Protection] = &[Protection::ReadExecute, Protection::Read, Protection::ReadWrite];
const RESIDENCES: &[Residence] = &[Residence::Near, Residence::Far];
const ENDIANS: &[Endian] = &[Endian::Little, Endian::Big];
const STAGES: &[InitStage] = &[InitStage::Threads, InitStage::Preinit, InitStage::Init, InitStage::Fini];
const ACCESSES: &[ThreadLocalAccess] =
    &[ThreadLocalAccess::Dynamic, ThreadLocalAccess::Static, ThreadLocalAccess::Descriptor];

impl Wire for Addr {
    const WHAT: &'static str = "an address";
    const LEAST: usize = 8;

    fn encode(&self, to: &mut Encoder) {
        to.put(&self.0);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Addr, WireError> {
        Ok(Addr(from.get()?))
    }
}

impl Wire for AddrRange {
    const WHAT: &'static str = "a range of addresses";
    const LEAST: usize = 16;

    fn encode(&self, to: &mut Encoder) {
        to.put(&self.start).put(&self.last);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<AddrRange, WireError> {
        let (start, last): (Addr, Addr) = (from.get()?, from.get()?);
        if start > last {
            return Err(WireError::TooLarge { what: "the start of a range", value: start.0, limit: last.0 });
        }
        Ok(AddrRange { start, last })
    }
}

impl Wire for SegmentRequest {
    const WHAT: &'static str = "a segment";
    const LEAST: usize = 18;

    fn encode(&self, to: &mut Encoder) {
        place(&self.protection, PROTECTIONS, to);
        place(&self.residence, RESIDENCES, to);
        to.put(&self.size).put(&self.align);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<SegmentRequest, WireError> {
        let protection = pick(from, PROTECTIONS, "protection")?;
        let residence = pick(from, RESIDENCES, "residence")?;
        let (size, align): (u64, u64) = (from.get()?, from.get()?);
        // Sizes are added up, and alignments to them: none of it comes near the end of 64 bits.
        const LIMIT: u64 = 1 << 46;
        match (size, align) {
            (size, _) if size > LIMIT => Err(WireError::TooLarge { what: "a segment", value: size, limit: LIMIT }),
            (0, _) => Err(WireError::Unknown { what: "size of a segment", value: 0 }),
            (_, align) if !align.is_power_of_two() || align > LIMIT => {
                Err(WireError::Unknown { what: "alignment", value: align })
            }
            (size, align) => Ok(SegmentRequest { protection, residence, size, align }),
        }
    }
}

impl Wire for MemoryRequest {
    const WHAT: &'static str = "a request for memory";
    const LEAST: usize = 20;

    fn encode(&self, to: &mut Encoder) {
        to.put(&self.segments).put(&self.range);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<MemoryRequest, WireError> {
        // A protection and a residence each have one segment.
        const LIMIT: usize = PROTECTIONS.len() * RESIDENCES.len();
        let (segments, range): (Vec<SegmentRequest>, AddrRange) = (from.get()?, from.get()?);
        if segments.len() > LIMIT {
            let (value, limit) = (segments.len() as u64, LIMIT as u64);
            return Err(WireError::TooLarge { what: "a list of segments", value, limit });
        }
        Ok(MemoryRequest { segments, range })
    }
}

impl Wire for ReservedRecord {
    const WHAT: &'static str = "reserved memory";
    const LEAST: usize = 24;

    fn encode(&self, to: &mut Encoder) {
        to.put(&self.number).put(&self.starts).put(&self.region);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<ReservedRecord, WireError> {
        Ok(ReservedRecord { number: from.get()?, starts: from.get()?, region: from.get()? })
    }
}

impl Wire for PointerPlace {
    const WHAT: &'static str = "the place of a pointer";
    const LEAST: usize = 10;

    fn encode(&self, to: &mut Encoder) {
        to.put(&self.address).put(&self.bytes);
        place(&self.endian, ENDIANS, to);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<PointerPlace, WireError> {
        let (address, bytes) = (from.get()?, from.get()?);
        Ok(PointerPlace { address, bytes, endian: pick(from, ENDIANS, "byte order")? })
    }
}

impl Wire for PointerArray {
    const WHAT: &'static str = "an array of function pointers";
    const LEAST: usize = 22;

    fn encode(&self, to: &mut Encoder) {
        to.put(&self.address).put(&self.count);
        place(&self.order.stage, STAGES, to);
        to.put(&self.order.priority).put(&self.order.backwards);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<PointerArray, WireError> {
        let (address, count) = (from.get()?, from.get()?);
        let stage = pick(from, STAGES, "stage of initialisers")?;
        let order = Initialisers { stage, priority: from.get()?, backwards: from.get()? };
        Ok(PointerArray { address, count, order })
    }
}

impl Wire for QueryRecord {
    const WHAT: &'static str = "a question about a thread-local variable";
    const LEAST: usize = 6;

    fn encode(&self, to: &mut Encoder) {
        place(&self.access, ACCESSES, to);
        match &self.variable {
            Ok(offset) => _ = to.put(&0u8).put(offset),
            Err(name) => _ = to.put(&1u8).put(name),
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<QueryRecord, WireError> {
        let access = pick(from, ACCESSES, "access to a thread-local variable")?;
        let variable = match from.get::<u8>()? {
            0 => Ok(from.get()?),
            1 => Err(from.get()?),
            value => return Err(WireError::Unknown { what: "thread-local variable", value: value.into() }),
        };
        Ok(QueryRecord { variable, access })
    }
}

impl Wire for IndirectSlot {
    const WHAT: &'static str = "the slot of an indirect function";
    const LEAST: usize = 20;

    fn encode(&self, to: &mut Encoder) {
        to.put(&self.slot).put(&self.resolver).put(&self.name);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<IndirectSlot, WireError> {
        Ok(IndirectSlot { slot: from.get()?, resolver: from.get()?, name: from.get()? })
    }
}

impl Wire for WireAction {
    const WHAT: &'static str = "an action";
    const LEAST: usize = 5;

    fn encode(&self, to: &mut Encoder) {
        match self {
            WireAction::RegisterEhFrame(address, size) => _ = to.put(&0u8).put(address).put(size),
            WireAction::Describe(segments, handle) => _ = to.put(&1u8).put(segments).put(handle),
            WireAction::ResolveOnCall(slots) => _ = to.put(&2u8).put(slots),
            WireAction::RegisterFunctionTable(address, extent, image) => {
                to.put(&3u8).put(address).put(extent).put(image);
            }
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<WireAction, WireError> {
        Ok(match from.get::<u8>()? {
            0 => WireAction::RegisterEhFrame(from.get()?, from.get()?),
            1 => WireAction::Describe(from.get()?, from.get()?),
            2 => WireAction::ResolveOnCall(from.get()?),
            3 => WireAction::RegisterFunctionTable(from.get()?, from.get()?, from.get()?),
            value => return Err(WireError::Unknown { what: "action", value: value.into() }),
        })
    }
}
