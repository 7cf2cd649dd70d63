//! One run of a program: registers, stack, and what of the space it has seen.

use crate::address::{self, CONTEXT_REGION, FRAME_SIZE, PACKET, PACKET_REGION, STACK, STACK_REGION};
use crate::code::{Slot, Unit};
use crate::context::Context;
use crate::fault::{Access, Fault, FaultKind, Place};
use crate::maps::Map;
use crate::scratch::{Scratch, Site};
use crate::space::{Area, Snapshot, What};
use crate::vm::{RunOptions, Shared};
use std::any::{Any, TypeId};
use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// How deep functions may call each other, the program itself included (the kernel's `MAX_CALL_FRAMES`); anew in each callback.
pub(crate) const MAX_FRAMES: usize = 8;
/// How many frames there are with those of callbacks.
pub(crate) const ALL_FRAMES: usize = 16;
/// How many programs may follow each other by tail calls (the kernel's `MAX_TAIL_CALL_CNT`).
pub(crate) const MAX_TAIL_CALLS: u32 = 33;
/// How often `may_goto` instructions of a function go on before they jump (the kernel's `BPF_MAX_LOOPS`).
pub(crate) const MAX_LOOPS: u64 = 8 << 20;

/// The registers.
#[derive(Default)]
pub(crate) struct Registers([u64; 16]);

/// What a function's caller goes on with.
pub(crate) struct Frame {
    pub(crate) unit: Arc<Unit>,
    /// The index of the call.
    pub(crate) index: usize,
    saved: [u64; 5],
    loops: u64,
}

pub(crate) struct Machine<'r> {
    pub(crate) registers: Registers,
    /// How many instructions may still run.
    pub(crate) budget: i64,
    /// How often `may_goto` instructions of the function may still go on.
    pub(crate) loops: u64,
    pub(crate) scratch: Box<Scratch>,
    /// The program that a helper wants to go on with.
    pub(crate) next: Option<u64>,
    pub(crate) shared: &'r Shared,
    pub(crate) context: &'r mut dyn Context,
    pub(crate) cpu: usize,
    snapshot: Arc<Snapshot>,
    /// Snapshots that were replaced while the program ran.
    kept: Vec<Arc<Snapshot>>,
    packet: Option<Area>,
    context_area: Option<Area>,
    context_is_plain: bool,
    pub(crate) total_budget: u64,
    tail_calls: u32,
    /// How many frames there are below the main function or callback that runs.
    base: usize,
    state: Vec<(TypeId, Box<dyn Any>)>,
}

impl<'r> Machine<'r> {
    pub(crate) fn new(
        shared: &'r Shared,
        context: &'r mut dyn Context,
        options: &RunOptions,
    ) -> Result<Machine<'r>, Fault> {
        let scratch = Scratch::take().map_err(|error| FaultKind::Unsupported(error.to_string()))?;
        let mut machine = Machine {
            registers: Registers::default(),
            budget: i64::try_from(options.budget).unwrap_or(i64::MAX),
            loops: MAX_LOOPS,
            scratch,
            next: None,
            shared,
            context,
            cpu: options.cpu,
            snapshot: shared.space.snapshot(),
            kept: Vec::new(),
            packet: None,
            context_area: None,
            context_is_plain: true,
            total_budget: options.budget,
            tail_calls: 0,
            base: 0,
            state: Vec::new(),
        };
        machine.refresh_context();
        Ok(machine)
    }

    /// Runs a program, and gives back what it returns.
    pub(crate) fn run(mut self, program: u64) -> Result<u64, Fault> {
        let arguments = self.context.arguments();
        for (slot, argument) in Slot::ALL[1..].iter().zip(arguments) {
            self.registers[*slot] = argument;
        }
        self.registers[Slot::R10] = STACK + FRAME_SIZE;
        let result = match self.enter(program) {
            Err(fault) => match fault.kind() {
                FaultKind::Thrown(cookie) => Ok(*cookie),
                _ => Err(fault),
            },
            result => result,
        };
        self.end();
        result
    }

    /// Takes back what the program left open, however it ended. Where a function of the host panics, what it held for the run is
    /// dropped all the same.
    fn end(self) {
        let Machine { state, context, scratch, .. } = self;
        // Locks are given back and records that were reserved given up.
        drop(state);
        context.run_ended();
        scratch.keep();
    }

    fn enter(&mut self, function: u64) -> Result<u64, Fault> {
        let (unit, index) = self.code_at(function).ok_or(FaultKind::NoFunction(function))?;
        self.interpret(unit, index)
    }

    /// Runs a function of the program for a function of the host.
    pub(crate) fn callback(&mut self, function: u64, arguments: [u64; 5]) -> Result<u64, Fault> {
        let used = self.scratch.frames.len() - self.base;
        let depth = self.depth() + 1;
        if depth >= ALL_FRAMES {
            return Err(FaultKind::Depth(ALL_FRAMES).into());
        }
        debug_assert!(used < MAX_FRAMES);
        let saved = (self.registers.0, self.base, self.loops);
        self.base = self.scratch.frames.len();
        self.registers[Slot::R10] += FRAME_SIZE;
        self.scratch.reach(depth + 1);
        self.loops = MAX_LOOPS;
        for (slot, argument) in Slot::ALL[1..].iter().zip(arguments) {
            self.registers[*slot] = argument;
        }
        let result = self.enter(function);
        self.scratch.frames.truncate(self.base);
        (self.registers.0, self.base, self.loops) = saved;
        result
    }

    /// How many frames of the stack are below the current function's.
    fn depth(&self) -> usize {
        ((self.registers[Slot::R10] - STACK) / FRAME_SIZE) as usize - 1
    }

    /// Whether the frames that are there are those of the main function or callback that runs.
    pub(crate) fn is_outermost(&self) -> bool {
        self.scratch.frames.len() == self.base
    }

    /// Makes the frame of a function that the instruction at an index calls.
    pub(crate) fn push(&mut self, unit: &Arc<Unit>, index: usize) -> Result<(), FaultKind> {
        if self.scratch.frames.len() - self.base + 1 >= MAX_FRAMES {
            return Err(FaultKind::Depth(MAX_FRAMES));
        }
        let depth = self.depth() + 1;
        if depth >= ALL_FRAMES {
            return Err(FaultKind::Depth(ALL_FRAMES));
        }
        let saved = [6, 7, 8, 9, 10].map(|register| self.registers.0[register]);
        self.scratch.frames.push(Frame { unit: unit.clone(), index, saved, loops: self.loops });
        self.registers[Slot::R10] += FRAME_SIZE;
        self.scratch.reach(depth + 1);
        self.loops = MAX_LOOPS;
        Ok(())
    }

    /// Goes back to the caller, if the function is not the outermost: to the instruction after the call.
    pub(crate) fn pop(&mut self) -> Option<(Arc<Unit>, usize)> {
        if self.is_outermost() {
            return None;
        }
        let frame = self.scratch.frames.pop()?;
        self.registers.0[6..=10].copy_from_slice(&frame.saved);
        self.loops = frame.loops;
        Some((frame.unit, frame.index + 1))
    }

    /// The instruction at an address, with its code.
    pub(crate) fn code_at(&mut self, address: u64) -> Option<(Arc<Unit>, usize)> {
        let find = |snapshot: &Snapshot| {
            let unit = snapshot.unit(address)?;
            Some((unit.clone(), unit.index(address)?))
        };
        find(&self.snapshot).or_else(|| if self.refresh() { find(&self.snapshot) } else { None })
    }

    /// Takes up what the host has added; whether there is anything.
    fn refresh(&mut self) -> bool {
        let current = self.shared.space.snapshot();
        if Arc::ptr_eq(&current, &self.snapshot) {
            return false;
        }
        self.kept.push(std::mem::replace(&mut self.snapshot, current));
        true
    }

    /// Takes up where context and packet are now.
    pub(crate) fn refresh_context(&mut self) {
        self.scratch.forget_sites();
        self.context_is_plain = self.context.is_plain();
        let memory = self.context.memory().cloned();
        self.context_area = memory.map(|memory| Area::whole(address::CONTEXT, memory, What::Context));
        self.packet = self.context.packet().map(|packet| {
            assert!(packet.start <= packet.data && packet.data <= packet.end && packet.end <= packet.memory.len());
            Area {
                start: PACKET + packet.start as u64,
                len: (packet.end - packet.start) as u64,
                offset: packet.start,
                readable: true,
                writable: packet.writable,
                what: What::Packet,
                memory: packet.memory,
            }
        });
    }

    /// The area that holds all of some bytes, if the program may access them so.
    pub(crate) fn area(&mut self, address: u64, size: u64, access: Access) -> Result<&Area, FaultKind> {
        let fits = |area: &Area| area.contains(address, size) && area.allows(access);
        let region = address::region(address);
        if region == STACK_REGION && access == Access::Write {
            self.scratch.written();
        }
        if region > STACK_REGION && !self.snapshot.area(address).is_some_and(fits) {
            self.refresh();
        }
        match self.find(address).filter(|area| fits(area)) {
            Some(area) if matches!(area.what, What::Context) && !self.context_is_plain => {
                let offset = address::offset(address);
                match self.context.check(offset, size as u32, access) {
                    Ok(()) => Ok(area),
                    Err(what) => {
                        Err(FaultKind::Memory { address, size, access, what: format!("context+{offset:#x}: {what}") })
                    }
                }
            }
            Some(area) => Ok(area),
            None => Err(FaultKind::Memory { address, size, access, what: self.describe(address, size, access) }),
        }
    }

    fn find(&self, address: u64) -> Option<&Area> {
        match address::region(address) {
            PACKET_REGION => self.packet.as_ref(),
            CONTEXT_REGION => self.context_area.as_ref(),
            STACK_REGION => Some(self.scratch.stack()),
            _ => self.snapshot.area(address),
        }
    }

    /// Where bytes are on the host. The site remembers it.
    #[cold]
    #[inline(never)]
    pub(crate) fn locate(&mut self, address: u64, size: u64, access: Access, site: u8) -> Result<*mut u8, FaultKind> {
        let area = self.area(address, size, access)?;
        let host = area.memory.as_ptr().wrapping_add(area.offset);
        let place = host.wrapping_add((address - area.start) as usize);
        let remembered = Site { start: area.start, limit: area.len - size + 1, host };
        if !matches!(area.what, What::Context) || self.context_is_plain {
            self.scratch.remember(site, remembered);
        }
        Ok(place)
    }

    /// What is at an address that cannot be accessed.
    fn describe(&self, address: u64, size: u64, access: Access) -> String {
        let region = address::region(address);
        let near = match region {
            PACKET_REGION if address < PACKET => return "there is no memory near address 0".into(),
            PACKET_REGION => self.packet.as_ref(),
            CONTEXT_REGION => self.context_area.as_ref(),
            STACK_REGION => Some(self.scratch.stack()),
            address::MAP_HANDLE_REGION => return self.describe_handle(address),
            _ => self.snapshot.nearest(address),
        };
        if let Some(area) = near {
            return area.describe(address, size, access);
        }
        match (region, self.snapshot.unit(address)) {
            (_, Some(unit)) => match unit.index(address).and_then(|index| unit.function(index)) {
                Some(function) => format!("it is code of function \"{}\", which can only be called", function.name),
                None => "it is code, which can only be called".into(),
            },
            (PACKET_REGION, _) => "the program has no packet".into(),
            (CONTEXT_REGION, _) => "the program has no context".into(),
            (address::OBJECT_REGION, _) => "it stands for an object that only helpers access".into(),
            (address::HOST_REGION, _) => "it stands for a kernel function, which can only be called".into(),
            _ => "there is no memory".into(),
        }
    }

    fn describe_handle(&self, address: u64) -> String {
        match address::map_index(address & !15).and_then(|index| self.snapshot.map(index)) {
            Some(map) => format!("it stands for map \"{}\", whose values only helpers find", map.name()),
            None => "it stands for no map".into(),
        }
    }

    /// Lets the program access all of the stack, of which functions of the host use the end.
    pub(crate) fn open_stack(&mut self) {
        self.scratch.reach(ALL_FRAMES);
    }

    pub(crate) fn map(&mut self, index: usize) -> Option<&Arc<Map>> {
        if self.snapshot.map(index).is_none() {
            self.refresh();
        }
        self.snapshot.map(index)
    }

    /// The index of a map, which is made known if it is not.
    pub(crate) fn map_index(&mut self, map: &Arc<Map>) -> usize {
        if let Some(index) = self.snapshot.index_of(map) {
            return index;
        }
        let index = self.shared.space.attach(map);
        self.refresh();
        index
    }

    pub(crate) fn request_tail_call(&mut self, program: u64) -> bool {
        if self.tail_calls >= MAX_TAIL_CALLS || self.code_at(program).is_none() {
            return false;
        }
        self.tail_calls += 1;
        self.next = Some(program);
        true
    }

    pub(crate) fn state<T: Any + Default>(&mut self) -> &mut T {
        let id = TypeId::of::<T>();
        let known = self.state.iter().position(|(known, _)| *known == id);
        let index = known.unwrap_or_else(|| {
            self.state.push((id, Box::<T>::default()));
            self.state.len() - 1
        });
        self.state[index].1.downcast_mut().expect("an entry is of the type that it is entered by")
    }

    /// The instruction at an index, and the calls of this main function or callback that led to it.
    pub(crate) fn trace(&self, unit: &Unit, index: usize) -> Vec<Place> {
        let callers = self.scratch.frames[self.base..].iter().rev().map(|frame| self.place(&frame.unit, frame.index));
        std::iter::once(self.place(unit, index)).chain(callers).collect()
    }

    fn place(&self, unit: &Unit, index: usize) -> Place {
        let address = unit.address(index);
        let function = unit.function(index);
        Place {
            address,
            function: function.map(|function| function.name.clone()).unwrap_or_default(),
            index: (index - function.map_or(0, |function| function.first)) as u64,
            text: unit.text(index),
            line: self.shared.lines.as_ref().and_then(|lines| lines.lookup(address)),
        }
    }
}

impl Area {
    /// Why bytes at an address, in or near this area, cannot be accessed.
    fn describe(&self, address: u64, size: u64, access: Access) -> String {
        let name = match &self.what {
            What::Packet => "packet".into(),
            What::Context => "context".into(),
            What::Stack => "stack".into(),
            What::Data => format!("data at {:#x}", self.start),
            What::Map(map) => format!("map \"{}\"", map.name()),
        };
        let Some(offset) = address.checked_sub(self.start) else {
            return format!("it is {:#x} bytes before {name}", self.start - address);
        };
        if self.contains(address, size) {
            return format!("{name}+{offset:#x} is not for programs to {access}");
        }
        let past = offset.saturating_add(size) - self.len;
        format!("{name}+{offset:#x} has {:#x} bytes, and this ends {past} past them", self.len)
    }
}

impl Registers {
    /// The register of the low four bits of a number.
    #[inline(always)]
    pub(crate) fn low(&self, number: i32) -> u64 {
        self.0[(number & 15) as usize]
    }
}

impl Index<Slot> for Registers {
    type Output = u64;
    #[inline(always)]
    fn index(&self, slot: Slot) -> &u64 {
        &self.0[slot as usize]
    }
}

impl IndexMut<Slot> for Registers {
    #[inline(always)]
    fn index_mut(&mut self, slot: Slot) -> &mut u64 {
        &mut self.0[slot as usize]
    }
}
