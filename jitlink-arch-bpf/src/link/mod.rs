//! From a link to a [`BpfImage`]: passes that note what the bytes alone do not say.
//!
//! A [`Capture`] adds its passes to the options of any link of BPF objects, for whatever executor. When bytes are fixed up, and
//! every address is known, it looks at the graph for the last time: which functions, maps and data are live, and what each
//! instruction refers to. [`Capture::image`] makes the image of that once the link has succeeded. [`link_image`] does all of it
//! for a link into plain buffers.

mod capture;
mod legacy;

use crate::image::BpfImage;
use capture::Collected;
use jitlink_core::image::{ImageConfig, ImageExecutor};
use jitlink_core::input::Input;
use jitlink_core::link::{LinkOptions, Linked, NoSymbols, Stage};
use jitlink_core::{Addr, LinkError, LinkErrors, Registry};
use std::sync::{Arc, Mutex, PoisonError};

/// How BPF objects are linked, besides what every link is told.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BpfOptions {}

/// Notes what a link of BPF objects knows.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    collected: Arc<Mutex<Option<Collected>>>,
}

impl Capture {
    /// Adds the passes of a capture to a link's options. They serve one link at a time.
    pub fn add(options: &mut LinkOptions, _bpf: &BpfOptions) -> Capture {
        let capture = Capture::default();
        let collected = Arc::clone(&capture.collected);
        options.pipeline.add(Stage::AfterFixup, "BPF image", move |graph, context| {
            let seen = Collected::of(graph, context)?;
            *collected.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
            Ok(())
        });
        capture
    }

    /// The image of the link that has just succeeded with these options.
    pub fn image(&self, linked: &Linked) -> Result<BpfImage, LinkErrors> {
        let collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner).take();
        let collected = collected
            .ok_or_else(|| LinkError::Request("there is no link whose BPF image has not been taken yet".into()))?;
        Ok(collected.into_image(linked))
    }
}

/// Links BPF objects into an image in plain buffers.
///
/// Fails with all that is wrong with the objects, as [`jitlink_core::link::link`] does.
pub fn link_image(
    registry: &Registry,
    inputs: &[Input],
    options: &LinkOptions,
    bpf: &BpfOptions,
) -> Result<BpfImage, LinkErrors> {
    let mut options = options.clone();
    let capture = Capture::add(&mut options, bpf);
    let config = ImageConfig { base: Addr(0x1000_0000), arena_size: 1 << 33, page_size: 4096 };
    let executor = ImageExecutor::new(config).map_err(LinkError::from)?;
    let linked = jitlink_core::link::link(registry, &executor, inputs, &NoSymbols, &options)?;
    capture.image(&linked)
}
