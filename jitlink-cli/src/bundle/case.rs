//! A link as a bundle holds it: inputs by name, options, addresses of what lies outside. Recording and replaying both do it
//! the same way, in an image, so that only the bundle decides the result.

use super::manifest::{Expected, Hex, Options, SegmentEntry, Stored, Unresolved};
use crate::link;
use jitlink::core::image::ImageSegment;
use jitlink::core::link::{Definition, LinkMap, Resolver};
use jitlink::{
    Addr, Executor, ImageConfig, ImageExecutor, Input, LinkError, LinkErrors, LinkOptions, Module, Registry, Session,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A link that can be repeated.
pub(crate) struct Case {
    pub(crate) inputs: Vec<Input>,
    pub(crate) options: Options,
    pub(crate) externals: BTreeMap<String, Hex>,
}

/// What came out.
pub(crate) enum Outcome {
    Linked { module: Module, segments: Vec<ImageSegment> },
    Failed(LinkErrors),
}

impl Case {
    /// Links.
    pub(crate) fn link(&self, threads: Option<usize>) -> Result<Outcome, LinkErrors> {
        let externals = self.externals.iter().map(|(name, address)| (name.as_bytes(), Addr(address.0)));
        let image = Arc::new(self.executor()?.with_symbols(externals));
        let session = Session::new(Registry::global()?, image.clone());
        Ok(match session.link(&self.inputs, &self.link_options(threads)) {
            Ok(module) => Outcome::Linked { module, segments: image.segments() },
            Err(errors) => Outcome::Failed(errors),
        })
    }

    /// Finds out which names the link needs from outside, and what addresses they have there. That the link may fail is no
    /// matter here: it will again.
    pub(crate) fn learn(&mut self, outside: &dyn Executor, threads: Option<usize>) -> Result<(), LinkErrors> {
        let asked = Asked { outside, found: Mutex::default() };
        let (image, registry) = (self.executor()?, Registry::global()?);
        let _ = jitlink::core::link::link(&registry, &image, &self.inputs, &asked, &self.link_options(threads));
        for (name, address) in asked.found.into_inner().unwrap_or_else(PoisonError::into_inner) {
            let name = String::from_utf8(name).map_err(|error| {
                let name = String::from_utf8_lossy(error.as_bytes()).into_owned();
                LinkError::Request(format!("the name {name} is no text, so a bundle cannot hold its address"))
            })?;
            self.externals.insert(name, Hex(address.0));
        }
        Ok(())
    }

    fn executor(&self) -> Result<ImageExecutor, LinkErrors> {
        let Options { base, arena_size, page_size, .. } = self.options;
        let executor = ImageExecutor::new(ImageConfig { base: Addr(base.0), arena_size, page_size });
        executor.map_err(|error| LinkError::from(error).into())
    }

    fn link_options(&self, threads: Option<usize>) -> LinkOptions {
        let options = &self.options;
        LinkOptions {
            roots: link::roots(&options.entry, options.allow_undefined_entry),
            unresolved: match options.unresolved {
                Unresolved::Error => jitlink::Unresolved::Error,
                Unresolved::Null => jitlink::Unresolved::Null,
            },
            defines: options.define.iter().map(|(name, address)| (name.clone(), Addr(address.0))).collect(),
            aliases: options.alias.clone(),
            keep_debug: options.keep_debug,
            threads,
            map: true,
            ..LinkOptions::default()
        }
    }
}

impl Outcome {
    /// What the manifest says of it.
    pub(crate) fn expected(&self) -> Expected {
        match self {
            Outcome::Failed(errors) => {
                Expected::Errors(errors.iter().map(|error| format!("{}: {error}", error.code())).collect())
            }
            Outcome::Linked { segments, .. } => {
                let entry = |(index, segment): (usize, &ImageSegment)| SegmentEntry {
                    address: Hex(segment.address.0),
                    size: segment.size(),
                    protection: segment.protection.name().into(),
                    stored: Stored::of(format!("result/segment-{index}.bin"), segment.stored_bytes()),
                };
                Expected::Segments(segments.iter().enumerate().map(entry).collect())
            }
        }
    }

    /// The section that holds an address, for people.
    pub(crate) fn section_at(&self, address: u64) -> Option<String> {
        let Outcome::Linked { module, .. } = self else { return None };
        let map: &LinkMap = module.map()?;
        map.objects.iter().find_map(|object| {
            let inside = |start: u64, size: u64| start <= address && address - start < size;
            let section = object.sections.iter().find(|section| inside(section.address.0, section.size))?;
            Some(format!("{} of {}, {:#x} bytes in", section.name, object.name, address - section.address.0))
        })
    }
}

/// Asks, and remembers the answers.
struct Asked<'e> {
    outside: &'e dyn Executor,
    found: Mutex<BTreeMap<Vec<u8>, Addr>>,
}

impl Asked<'_> {
    fn ask(&self, names: &[&[u8]]) -> Result<Vec<Option<Addr>>, LinkError> {
        let answers = self.outside.lookup(names).map_err(LinkError::from)?;
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, answer) in names.iter().zip(&answers) {
            found.extend(answer.map(|address| (name.to_vec(), address)));
        }
        Ok(answers)
    }
}

impl Resolver for Asked<'_> {
    fn resolve(&self, names: &[&[u8]]) -> Result<Vec<Option<Definition>>, LinkError> {
        Ok(self.ask(names)?.into_iter().map(|address| address.map(Definition::from)).collect())
    }

    fn unique(&self, names: &[&[u8]]) -> Result<Vec<Option<Addr>>, LinkError> {
        self.ask(names)
    }
}
