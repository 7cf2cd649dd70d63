//! The `bpf(2)` system call, and memory of maps: the only module of this crate with unsafe code.
//!
//! The argument of `bpf(2)` is a union of structures with pointers as numbers, and counts that say how far the kernel reads or
//! writes behind them. Two things keep that sound here. A pointer and its count are one [`Buffer`] that is set from one slice, so
//! they cannot disagree, and belongs to one command, which is compared; and the sizes of map elements, which the kernel takes from the map, are kept with the map's descriptor
//! ([`RawMap`]) and compared before each call. Fields and buffers can only be made in this module.
//!
//! Offsets are those of `union bpf_attr` in `linux/bpf.h`; a kernel that knows fewer fields accepts the rest if they are zero.

mod ring;

use std::ffi::CStr;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A command (`enum bpf_cmd`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Command {
    MapCreate = 0,
    MapLookup = 1,
    MapUpdate = 2,
    MapDelete = 3,
    MapNextKey = 4,
    ProgramLoad = 5,
    Pin = 6,
    Get = 7,
    TestRun = 10,
    Info = 15,
    BtfLoad = 18,
    MapTake = 21,
    MapFreeze = 22,
}

impl Command {
    /// Its name in the kernel's documentation.
    pub(super) fn name(self) -> &'static str {
        match self {
            Command::MapCreate => "BPF_MAP_CREATE",
            Command::MapLookup => "BPF_MAP_LOOKUP_ELEM",
            Command::MapUpdate => "BPF_MAP_UPDATE_ELEM",
            Command::MapDelete => "BPF_MAP_DELETE_ELEM",
            Command::MapNextKey => "BPF_MAP_GET_NEXT_KEY",
            Command::ProgramLoad => "BPF_PROG_LOAD",
            Command::Pin => "BPF_OBJ_PIN",
            Command::Get => "BPF_OBJ_GET",
            Command::TestRun => "BPF_PROG_TEST_RUN",
            Command::Info => "BPF_OBJ_GET_INFO_BY_FD",
            Command::BtfLoad => "BPF_BTF_LOAD",
            Command::MapTake => "BPF_MAP_LOOKUP_AND_DELETE_ELEM",
            Command::MapFreeze => "BPF_MAP_FREEZE",
        }
    }
}

/// A number of four bytes in the argument of a command.
#[derive(Clone, Copy)]
pub(super) struct Field {
    command: Command,
    at: usize,
}

/// A pointer in the argument and the field that counts what is behind it, in units of some bytes.
#[derive(Clone, Copy)]
pub(super) struct Buffer {
    pointer: usize,
    count: Field,
    unit: usize,
}

/// Fields of `BPF_MAP_CREATE`.
pub(super) mod map {
    use super::{Command, Field};
    const fn at(at: usize) -> Field {
        Field { command: Command::MapCreate, at }
    }
    pub(in crate::kernel) const KIND: Field = at(0);
    pub(super) const KEY_SIZE: Field = at(4);
    pub(super) const VALUE_SIZE: Field = at(8);
    pub(in crate::kernel) const MAX_ENTRIES: Field = at(12);
    pub(in crate::kernel) const FLAGS: Field = at(16);
    pub(in crate::kernel) const INNER: Field = at(20);
    pub(in crate::kernel) const NUMA_NODE: Field = at(24);
    pub(in crate::kernel) const NAME: Field = at(28);
    pub(in crate::kernel) const BTF: Field = at(48);
    pub(in crate::kernel) const KEY_TYPE: Field = at(52);
    pub(in crate::kernel) const VALUE_TYPE: Field = at(56);
    pub(in crate::kernel) const KERNEL_VALUE_TYPE: Field = at(60);
    pub(in crate::kernel) const EXTRA_LOW: Field = at(if cfg!(target_endian = "little") { 64 } else { 68 });
    pub(in crate::kernel) const EXTRA_HIGH: Field = at(if cfg!(target_endian = "little") { 68 } else { 64 });
}

/// Fields of `BPF_PROG_LOAD`.
pub(super) mod program {
    use super::{Buffer, Command, Field};
    const fn at(at: usize) -> Field {
        Field { command: Command::ProgramLoad, at }
    }
    pub(in crate::kernel) const KIND: Field = at(0);
    pub(in crate::kernel) const INSTRUCTIONS: Buffer = Buffer { pointer: 8, count: at(4), unit: 8 };
    pub(super) const LICENSE: usize = 16;
    pub(in crate::kernel) const LOG_LEVEL: Field = at(24);
    pub(in crate::kernel) const LOG: Buffer = Buffer { pointer: 32, count: at(28), unit: 1 };
    pub(in crate::kernel) const VERSION: Field = at(40);
    pub(in crate::kernel) const FLAGS: Field = at(44);
    pub(in crate::kernel) const NAME: Field = at(48);
    pub(in crate::kernel) const ATTACH: Field = at(68);
    pub(in crate::kernel) const BTF: Field = at(72);
    pub(in crate::kernel) const FUNCTION_SIZE: Field = at(76);
    pub(in crate::kernel) const FUNCTIONS: Buffer = Buffer { pointer: 80, count: at(88), unit: 8 };
    pub(in crate::kernel) const LINE_SIZE: Field = at(92);
    pub(in crate::kernel) const LINES: Buffer = Buffer { pointer: 96, count: at(104), unit: 16 };
    pub(in crate::kernel) const TARGET_TYPE: Field = at(108);
    pub(in crate::kernel) const TARGET: Field = at(112);
    /// The kernel reads as far as instructions index; it is not told how many there are.
    pub(super) const DESCRIPTORS: usize = 120;
}

/// Fields of `BPF_PROG_TEST_RUN`.
pub(super) mod run {
    use super::{Buffer, Command, Field};
    const fn at(at: usize) -> Field {
        Field { command: Command::TestRun, at }
    }
    pub(in crate::kernel) const PROGRAM: Field = at(0);
    pub(in crate::kernel) const RESULT: Field = at(4);
    pub(in crate::kernel) const DATA: Buffer = Buffer { pointer: 16, count: at(8), unit: 1 };
    pub(in crate::kernel) const DATA_OUT: Buffer = Buffer { pointer: 24, count: at(12), unit: 1 };
    pub(in crate::kernel) const REPEAT: Field = at(32);
    pub(in crate::kernel) const DURATION: Field = at(36);
    /// Some types of program write their context back to where it came from, so this is an output, too.
    pub(in crate::kernel) const CONTEXT: Buffer = Buffer { pointer: 48, count: at(40), unit: 1 };
    pub(in crate::kernel) const CONTEXT_OUT: Buffer = Buffer { pointer: 56, count: at(44), unit: 1 };
}

/// Fields of `BPF_BTF_LOAD`.
pub(super) mod btf {
    use super::{Buffer, Command, Field};
    const fn at(at: usize) -> Field {
        Field { command: Command::BtfLoad, at }
    }
    pub(in crate::kernel) const BYTES: Buffer = Buffer { pointer: 0, count: at(16), unit: 1 };
    pub(in crate::kernel) const LOG: Buffer = Buffer { pointer: 8, count: at(20), unit: 1 };
    pub(in crate::kernel) const LOG_LEVEL: Field = at(24);
}

/// Fields of `BPF_OBJ_GET_INFO_BY_FD`.
pub(super) mod info {
    use super::{Buffer, Command, Field};
    pub(in crate::kernel) const OBJECT: Field = Field { command: Command::Info, at: 0 };
    pub(in crate::kernel) const BYTES: Buffer =
        Buffer { pointer: 8, count: Field { command: Command::Info, at: 4 }, unit: 1 };
}

/// The argument of a call, which borrows what it points to.
pub(super) struct Attr<'a> {
    command: Command,
    bytes: Bytes,
    borrowed: PhantomData<&'a mut [u8]>,
}

#[repr(C, align(8))]
struct Bytes([u8; 160]);

impl<'a> Attr<'a> {
    pub(super) fn new(command: Command) -> Attr<'a> {
        Attr { command, bytes: Bytes([0; 160]), borrowed: PhantomData }
    }

    pub(super) fn set(&mut self, field: Field, value: u32) {
        let place = self.place(field);
        self.put(place, value.to_ne_bytes());
    }

    pub(super) fn set_fd(&mut self, field: Field, fd: BorrowedFd<'_>) {
        self.set(field, fd.as_raw_fd().cast_unsigned());
    }

    pub(super) fn value(&self, field: Field) -> u32 {
        let at = self.place(field);
        let bytes = &self.bytes.0;
        u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    }

    /// The count of a buffer, which some commands change to what they wrote or would have.
    pub(super) fn count(&self, buffer: Buffer) -> usize {
        self.value(buffer.count) as usize
    }

    /// Puts a name where one of at most 15 bytes and a zero belongs. What the kernel refuses in names becomes an underscore.
    pub(super) fn name(&mut self, field: Field, name: &str) {
        let at = self.place(field);
        for (place, byte) in self.bytes.0[at..at + 15].iter_mut().zip(name.bytes()) {
            *place = if byte.is_ascii_alphanumeric() || byte == b'.' { byte } else { b'_' };
        }
    }

    /// Bytes that the kernel reads. No bytes are a null pointer.
    pub(super) fn input(&mut self, buffer: Buffer, bytes: &'a [u8]) -> io::Result<()> {
        self.buffer(buffer, bytes.as_ptr() as u64, bytes.len())
    }

    /// Bytes that the kernel writes, and may read. No bytes are a null pointer.
    pub(super) fn output(&mut self, buffer: Buffer, bytes: &'a mut [u8]) -> io::Result<()> {
        self.buffer(buffer, bytes.as_mut_ptr() as u64, bytes.len())
    }

    fn buffer(&mut self, buffer: Buffer, address: u64, len: usize) -> io::Result<()> {
        let count = u32::try_from(len / buffer.unit).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        self.set(buffer.count, count);
        self.put(buffer.pointer, if len == 0 { 0 } else { address }.to_ne_bytes());
        Ok(())
    }

    /// The license of `BPF_PROG_LOAD`, and the descriptors that instructions refer to by index. The kernel reads descriptors without
    /// knowing how many there are; it only reads, so an index outside is an error or another descriptor of this process.
    pub(super) fn license(&mut self, license: &'a CStr, descriptors: &'a [i32]) {
        assert_eq!(self.command, Command::ProgramLoad);
        self.put(program::LICENSE, (license.as_ptr() as u64).to_ne_bytes());
        if !descriptors.is_empty() {
            self.put(program::DESCRIPTORS, (descriptors.as_ptr() as u64).to_ne_bytes());
        }
    }

    /// The argument that gives an object a path.
    pub(super) fn pin(path: &'a CStr, object: BorrowedFd<'_>) -> Attr<'a> {
        let mut attr = Attr::new(Command::Pin);
        attr.put(0, (path.as_ptr() as u64).to_ne_bytes());
        attr.put(8, object.as_raw_fd().to_ne_bytes());
        attr
    }

    /// The argument that opens the object of a path.
    fn get(path: &'a CStr) -> Attr<'a> {
        let mut attr = Attr::new(Command::Get);
        attr.put(0, (path.as_ptr() as u64).to_ne_bytes());
        attr
    }

    /// Makes the call. The result is what the kernel returned, never negative.
    pub(super) fn call(&mut self) -> io::Result<i32> {
        let command = self.command as libc::c_long;
        // SAFETY: the argument is as long as the size says. All pointers in it are null, or were set by methods above from slices
        // that are borrowed for as long as the argument, with their own lengths, in the fields that this command has for them;
        // `RawMap` compares those of map elements with what the kernel will copy.
        let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut self.bytes, size_of::<Bytes>()) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
    }

    /// Makes a call that gives a new descriptor.
    pub(super) fn open(&mut self) -> io::Result<OwnedFd> {
        use Command::{BtfLoad, Get, MapCreate, ProgramLoad};
        assert!(matches!(self.command, MapCreate | ProgramLoad | BtfLoad | Get));
        let fd = self.call()?;
        // SAFETY: these commands give a new descriptor (closed on exec), which nobody else has.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// Where a field of this command is.
    fn place(&self, field: Field) -> usize {
        assert_eq!(field.command, self.command, "a field of another command");
        field.at
    }

    fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        self.bytes.0[at..at + N].copy_from_slice(&bytes);
    }
}

/// Type, sizes of keys and values, number of entries and flags of a map.
fn numbers(map: BorrowedFd<'_>) -> io::Result<[u32; 5]> {
    let info = super::info(map, 24)?;
    // struct bpf_map_info: type, id, key, value, entries, flags. Programs have other numbers there, but no map commands.
    let word = |index: usize| {
        let bytes = info.get(4 * index..4 * index + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_ne_bytes).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    };
    Ok([word(0)?, word(2)?, word(3)?, word(4)?, word(5)?])
}

/// A map's descriptor and the sizes of its elements as the kernel copies them.
#[derive(Debug)]
pub(super) struct RawMap {
    fd: OwnedFd,
    key: usize,
    value: usize,
}

impl RawMap {
    /// Creates a map. `attr` holds everything but the sizes.
    pub(super) fn create(mut attr: Attr<'_>, key_size: u32, value_size: u32) -> io::Result<RawMap> {
        attr.set(map::KEY_SIZE, key_size);
        attr.set(map::VALUE_SIZE, value_size);
        let fd = attr.open()?;
        RawMap::new(fd, attr.value(map::KIND), key_size, value_size)
    }

    /// Opens a pinned map. Gives its type, sizes, number of entries and flags, too.
    pub(super) fn open(path: &CStr) -> io::Result<(RawMap, [u32; 5])> {
        let fd = Attr::get(path).open()?;
        let numbers = numbers(fd.as_fd())?;
        Ok((RawMap::new(fd, numbers[0], numbers[1], numbers[2])?, numbers))
    }

    fn new(fd: OwnedFd, kind: u32, key_size: u32, value_size: u32) -> io::Result<RawMap> {
        let mut value = value_size as usize;
        if super::map::is_per_cpu(kind) {
            value = value.next_multiple_of(8).saturating_mul(super::map::possible_cpus()?);
        }
        Ok(RawMap { fd, key: key_size as usize, value })
    }

    /// Writes the first bytes of an arena of some bytes, through a mapping that tells the kernel where programs see it, too.
    pub(super) fn write_arena(&self, size: u64, bytes: &[u8]) -> io::Result<()> {
        let size = usize::try_from(size).ok().filter(|size| bytes.len() <= *size);
        let size = size.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: the kernel chooses where the new mapping is, so it replaces none.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), size, protection, flags, self.fd.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping is writable, at least as long as the bytes, and nobody else's.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.cast::<u8>(), bytes.len()) };
        // SAFETY: it was mapped above, as long as this, and nothing refers to it.
        unsafe { libc::munmap(start, size) };
        Ok(())
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Bytes of a value as the kernel copies it: of per-CPU maps one a CPU, each rounded up to eight.
    pub(super) fn value_size(&self) -> usize {
        self.value
    }

    pub(super) fn key_size(&self) -> usize {
        self.key
    }

    pub(super) fn lookup(&self, key: &[u8], value: &mut [u8], flags: u64) -> io::Result<()> {
        self.check(key, value.len())?;
        self.element(Command::MapLookup, key.as_ptr(), value.as_mut_ptr() as u64, flags)
    }

    pub(super) fn take(&self, key: &[u8], value: &mut [u8]) -> io::Result<()> {
        self.check(key, value.len())?;
        self.element(Command::MapTake, key.as_ptr(), value.as_mut_ptr() as u64, 0)
    }

    pub(super) fn update(&self, key: &[u8], value: &[u8], flags: u64) -> io::Result<()> {
        self.check(key, value.len())?;
        self.element(Command::MapUpdate, key.as_ptr(), value.as_ptr() as u64, flags)
    }

    pub(super) fn delete(&self, key: &[u8]) -> io::Result<()> {
        self.check(key, self.value)?;
        self.element(Command::MapDelete, key.as_ptr(), 0, 0)
    }

    /// The key after one, or the first.
    pub(super) fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> io::Result<()> {
        self.check(key.unwrap_or(next), self.value)?;
        self.check(next, self.value)?;
        let key = key.map_or(std::ptr::null(), <[u8]>::as_ptr);
        self.element(Command::MapNextKey, key, next.as_mut_ptr() as u64, 0)
    }

    pub(super) fn freeze(&self) -> io::Result<()> {
        self.element(Command::MapFreeze, std::ptr::null(), 0, 0)
    }

    fn check(&self, key: &[u8], value: usize) -> io::Result<()> {
        if key.len() == self.key && value == self.value {
            return Ok(());
        }
        let (given, own) = (format!("{}/{value}", key.len()), format!("{}/{}", self.key, self.value));
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("key and value have {given} bytes, the map's {own}")))
    }

    /// A call on one element, whose key and value were checked to have the map's sizes.
    fn element(&self, command: Command, key: *const u8, value: u64, flags: u64) -> io::Result<()> {
        let mut attr = Attr::new(command);
        attr.put(0, self.fd.as_raw_fd().to_ne_bytes());
        attr.put(8, if self.key == 0 { 0 } else { key as u64 }.to_ne_bytes());
        attr.put(16, value.to_ne_bytes());
        attr.put(24, flags.to_ne_bytes());
        attr.call().map(|_| ())
    }
}
