//! Links toy objects to an image, and looks into it.

use super::machine::{self, Event, number};
use jitlink_core::graph::Protection;
use jitlink_core::image::{ImageConfig, ImageExecutor, ImageSegment};
use jitlink_core::link::{LinkMap, LinkOptions, Linked, MapObject, NoSymbols, Resolver, Roots, link};
use jitlink_core::{Addr, Input, LinkErrors};

/// Where images are linked unless a test says otherwise.
pub const BASE: u64 = 0x4000_0000;

/// Linked memory.
pub struct Image {
    pub executor: ImageExecutor,
    pub linked: Linked,
    segments: Vec<ImageSegment>,
}

/// Toy objects from their texts: `(name, text)`.
pub fn inputs(objects: &[(&str, &str)]) -> Vec<Input> {
    objects.iter().map(|(name, text)| Input::from_bytes(*name, text.trim_start().as_bytes().to_vec())).collect()
}

/// Options that keep what these names need, and ask for the map.
pub fn roots(names: &[&str]) -> LinkOptions {
    LinkOptions { roots: Roots::Named(names.iter().map(|name| name.to_string()).collect()), ..exported() }
}

/// Options that keep every definition that others can see, and ask for the map.
pub fn exported() -> LinkOptions {
    LinkOptions { map: true, threads: Some(1), ..LinkOptions::default() }
}

/// An executor at the usual base.
pub fn executor() -> ImageExecutor {
    executor_at(BASE, 64 << 20)
}

pub fn executor_at(base: u64, arena_size: u64) -> ImageExecutor {
    ImageExecutor::new(ImageConfig { base: Addr(base), arena_size, page_size: 4096 }).expect("a fine configuration")
}

/// Links at the usual base.
pub fn try_link(objects: &[(&str, &str)], options: &LinkOptions) -> Result<Image, LinkErrors> {
    link_with(&executor(), &inputs(objects), &NoSymbols, options)
}

/// Links at the usual base what must link.
pub fn link_ok(objects: &[(&str, &str)], options: &LinkOptions) -> Image {
    try_link(objects, options).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The errors of what must not link, as text.
pub fn link_err(objects: &[(&str, &str)], options: &LinkOptions) -> LinkErrors {
    let executor = executor();
    let errors = link_with(&executor, &inputs(objects), &NoSymbols, options).err().expect("a link that fails");
    assert!(executor.segments().is_empty(), "a failed link leaves nothing behind");
    errors
}

pub fn link_with(
    executor: &ImageExecutor,
    inputs: &[Input],
    resolver: &dyn Resolver,
    options: &LinkOptions,
) -> Result<Image, LinkErrors> {
    let linked = link(&super::arch::registry(), executor, inputs, resolver, options)?;
    Ok(Image::new(executor, linked))
}

impl Image {
    pub fn new(executor: &ImageExecutor, linked: Linked) -> Image {
        Image { executor: executor.clone(), linked, segments: executor.segments() }
    }

    /// Sees what changed in the image.
    pub fn look_again(&mut self) {
        // Given back first, so that the executor need not copy what is written next.
        self.segments.clear();
        self.segments = self.executor.segments();
    }

    pub fn map(&self) -> &LinkMap {
        self.linked.map.as_ref().expect("the link was asked for a map")
    }

    pub fn object(&self, name: &str) -> &MapObject {
        self.map().objects.iter().find(|object| object.name == name).unwrap_or_else(|| panic!("no object {name}"))
    }

    /// The address of a symbol, whichever object defines it.
    pub fn address(&self, name: &str) -> u64 {
        self.find(name).unwrap_or_else(|| panic!("{name} is not in the map: {:#?}", self.map()))
    }

    /// The address of a live symbol.
    pub fn find(&self, name: &str) -> Option<u64> {
        let mut symbols = self.map().objects.iter().flat_map(|object| &object.symbols);
        symbols.find(|symbol| symbol.name == name).map(|symbol| symbol.address.0)
    }

    /// The address and size of an object's live section.
    pub fn section(&self, object: &str, name: &str) -> Option<(u64, u64)> {
        let object = self.map().objects.iter().find(|known| known.name == object)?;
        let section = object.sections.iter().find(|section| section.name == name)?;
        Some((section.address.0, section.size))
    }

    pub fn export(&self, name: &str) -> Option<u64> {
        self.linked.exports.get(name).map(|export| export.address.0)
    }

    fn segment(&self, address: u64) -> Option<&ImageSegment> {
        let after = self.segments.partition_point(|segment| segment.address.0 <= address);
        let segment = &self.segments[after.checked_sub(1)?];
        (address - segment.address.0 < segment.size()).then_some(segment)
    }

    pub fn holds(&self, address: u64) -> bool {
        self.segment(address).is_some()
    }

    pub fn is_code(&self, address: u64) -> bool {
        self.protection(address) == Some(Protection::ReadExecute)
    }

    pub fn protection(&self, address: u64) -> Option<Protection> {
        self.segment(address).map(|segment| segment.protection)
    }

    pub fn try_bytes(&self, address: u64, size: usize) -> Option<&[u8]> {
        let segment = self.segment(address)?;
        let start = (address - segment.address.0) as usize;
        segment.bytes().get(start..start.checked_add(size)?)
    }

    pub fn bytes(&self, address: u64, size: usize) -> &[u8] {
        self.try_bytes(address, size).unwrap_or_else(|| panic!("{address:#x} is not linked: {:?}", self.segments))
    }

    pub fn try_number(&self, address: u64, size: usize) -> Option<u64> {
        Some(number(self.linked.target.endian, self.try_bytes(address, size)?))
    }

    /// The number of `size` bytes at an address.
    pub fn number(&self, address: u64, size: usize) -> u64 {
        number(self.linked.target.endian, self.bytes(address, size))
    }

    /// The number at an address, sign-extended.
    pub fn signed(&self, address: u64, size: usize) -> i64 {
        let unused = 64 - size as u32 * 8;
        (self.number(address, size) << unused) as i64 >> unused
    }

    pub fn pointer(&self, address: u64) -> u64 {
        self.number(address, usize::from(self.linked.target.pointer_bytes))
    }

    /// What a function does.
    pub fn run(&self, name: &str) -> Vec<Event> {
        machine::run(self, self.address(name))
    }

    /// Everything that is linked, with where it is.
    pub fn all_bytes(&self) -> Vec<(u64, Vec<u8>)> {
        self.segments.iter().map(|segment| (segment.address.0, segment.bytes().to_vec())).collect()
    }
}
