//! A module in an image that is updated.

use crate::kit::image::{executor, inputs};
use crate::kit::machine::{self, Event};
use crate::kit::{Image, arch, exported};
use jitlink_core::executor::{Allocation, PointerPlace};
use jitlink_core::image::ImageExecutor;
use jitlink_core::link::{Baseline, Changes, LinkOptions, NoSymbols, Resolver, link, update};
use jitlink_core::{Addr, LinkErrors};
use std::collections::BTreeMap;

/// The module, and what a session would keep of it.
pub(super) struct Program {
    executor: ImageExecutor,
    image: Image,
    baseline: Baseline,
    allocations: Vec<Option<Box<dyn Allocation>>>,
    names: BTreeMap<String, u64>,
}

fn options() -> LinkOptions {
    LinkOptions { updatable: true, keep_debug: true, ..exported() }
}

impl Program {
    pub(super) fn new(objects: &[(&str, &str)]) -> Program {
        Program::with(objects, &NoSymbols)
    }

    pub(super) fn with(objects: &[(&str, &str)], resolver: &dyn Resolver) -> Program {
        let executor = executor();
        let linked = link(&arch::registry(), &executor, &inputs(objects), resolver, &options());
        let mut linked = linked.unwrap_or_else(|errors| panic!("{errors}"));
        let baseline = linked.baseline.take().expect("an updatable link");
        let names = linked.exports.iter().map(|(name, export)| (name.to_string(), export.address.0)).collect();
        let image = Image::new(&executor, linked);
        Program { executor, image, baseline, allocations: vec![None], names }
    }

    /// Updates what must be possible.
    pub(super) fn update(&mut self, objects: &[(&str, &str)]) -> Updated {
        self.try_update(objects).unwrap_or_else(|errors| panic!("{errors}"))
    }

    pub(super) fn try_update(&mut self, objects: &[(&str, &str)]) -> Result<Updated, LinkErrors> {
        let update =
            update(&arch::registry(), &self.executor, &inputs(objects), &NoSymbols, &options(), &self.baseline)?;
        let (linked, changes) = (update.linked, update.changes);
        let number = self.baseline.next_allocation();
        let at = |index: usize| -> &dyn Allocation {
            match index {
                0 => &*self.image.linked.allocation,
                _ => self.allocations[index].as_deref().expect("an allocation in use"),
            }
        };
        for &(index, slot, code) in &changes.slots {
            at(index).store_pointer(self.place(slot), code.0).expect("a slot");
        }
        for change in &changes.pointers {
            at(change.allocation)
                .replace_pointer(self.place(change.address), change.old, change.new)
                .expect("a pointer");
        }
        for name in &changes.removed {
            self.names.remove(name);
        }
        self.names.extend(linked.exports.iter().map(|(name, export)| (name.to_string(), export.address.0)));
        self.allocations.resize_with(self.allocations.len().max(number + 1), || None);
        self.allocations[number] = Some(linked.allocation);
        let updated = Updated::of(&changes);
        self.baseline.apply(changes, false);
        self.image.look_again();
        Ok(updated)
    }

    fn place(&self, address: Addr) -> PointerPlace {
        let target = &self.image.linked.target;
        PointerPlace { address, bytes: target.pointer_bytes, endian: target.endian }
    }

    pub(super) fn reclaim(&mut self) {
        for index in self.baseline.reclaim() {
            self.allocations[index] = None;
        }
        self.image.look_again();
    }

    /// How many allocations there are, that of the link included.
    pub(super) fn allocations(&self) -> usize {
        1 + self.allocations.iter().flatten().count()
    }

    pub(super) fn exports(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    /// The address of what others see.
    pub(super) fn address(&self, name: &str) -> u64 {
        *self.names.get(name).unwrap_or_else(|| panic!("{name} is not exported"))
    }

    /// Where the code of a function is now.
    pub(super) fn code(&self, name: &str) -> u64 {
        let entry = self.address(name);
        // The stub holds the distance to its slot after the operation.
        let operand = entry + 4;
        let slot = operand.wrapping_add(self.image.signed(operand, 4) as u64);
        self.image.pointer(slot)
    }

    pub(super) fn run(&self, name: &str) -> Vec<Event> {
        self.run_at(self.address(name))
    }

    pub(super) fn run_at(&self, address: u64) -> Vec<Event> {
        machine::run(&self.image, address)
    }

    pub(super) fn read(&self, address: u64, size: usize) -> &[u8] {
        self.image.bytes(address, size)
    }

    pub(super) fn pointer(&self, name: &str) -> u64 {
        self.pointer_at(self.address(name))
    }

    pub(super) fn pointer_at(&self, address: u64) -> u64 {
        self.image.pointer(address)
    }

    /// Stores a pointer as the program would.
    pub(super) fn store(&mut self, name: &str, value: u64) {
        let place = self.place(Addr(self.address(name)));
        self.image.linked.allocation.store_pointer(place, value).expect("a variable of the first link");
        self.image.look_again();
    }

    pub(super) fn bytes(&self) -> Vec<(u64, Vec<u8>)> {
        self.image.all_bytes()
    }

    /// Where the arrays of initialisers are.
    pub(super) fn initialisers(&self) -> Vec<u64> {
        self.image.linked.initialisers.iter().map(|array| array.address.0).collect()
    }
}

/// What an update did.
#[derive(Debug)]
pub(super) struct Updated {
    pub(super) replaced: Vec<String>,
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
    pub(super) skips_initialisers: bool,
}

impl Updated {
    fn of(changes: &Changes) -> Updated {
        Updated {
            replaced: changes.replaced.clone(),
            added: changes.added.clone(),
            removed: changes.removed.clone(),
            skips_initialisers: changes.skips_initialisers,
        }
    }
}
