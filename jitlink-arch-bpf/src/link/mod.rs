//! From a link to a [`BpfImage`]: passes that note what the bytes alone do not say.
//!
//! A [`Capture`] adds its passes to the options of any link of BPF objects, for whatever executor. When bytes are fixed up, and
//! every address is known, it looks at the graph for the last time: which functions, maps and data are live, and what each
//! instruction refers to. [`Capture::image`] makes the image of that once the link has succeeded. [`link_image`] does all of it
//! for a link into plain buffers.

mod capture;
mod declared;
mod externs;
mod kconfig;
mod layout;
mod legacy;
mod look;
mod maps;
mod merged;
mod running;
mod types;
pub(crate) mod write;

pub use kconfig::Kconfig;

use crate::image::BpfImage;
use capture::Collected;
use externs::Outside;
use jitlink_core::graph::LinkGraph;
use jitlink_core::image::{ImageConfig, ImageExecutor};
use jitlink_core::input::Input;
use jitlink_core::link::{LinkOptions, Linked, NoSymbols, Stage};
use jitlink_core::{Addr, LinkError, LinkErrors, Registry};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use types::Types;

/// How BPF objects are linked, besides what every link is told.
#[derive(Clone, Debug, Default)]
pub struct BpfOptions {
    /// The configuration of the kernel that the program is for.
    pub kconfig: Kconfig,
}

/// Notes what a link of BPF objects knows.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    types: Types,
    outside: Vec<Outside>,
    collected: Option<Collected>,
}

impl Capture {
    /// Adds the passes of a capture to a link's options. They serve one link at a time.
    pub fn add(options: &mut LinkOptions, bpf: &BpfOptions) -> Capture {
        let capture = Capture::default();
        let (state, kconfig) = (Arc::clone(&capture.state), bpf.kconfig.clone());
        options.pipeline.add(Stage::BeforePrune, "BPF types and names of the kernel", move |graph, _| {
            check_target(graph)?;
            let types = Types::read(graph)?;
            let outside = externs::define(graph, &types, &kconfig)?;
            layout::gather(graph);
            *lock(&state) = State { types, outside, collected: None };
            Ok(())
        });
        let state = Arc::clone(&capture.state);
        options.pipeline.add(Stage::AfterFixup, "BPF image", move |graph, context| {
            let mut state = lock(&state);
            state.collected = Some(Collected::of(graph, context, &state.types, &state.outside)?);
            Ok(())
        });
        capture
    }

    /// The image of the link that has just succeeded with these options.
    pub fn image(&self, linked: &Linked) -> Result<BpfImage, LinkErrors> {
        let collected = lock(&self.state).collected.take();
        let collected = collected
            .ok_or_else(|| LinkError::Request("there is no link whose BPF image has not been taken yet".into()))?;
        Ok(collected.into_image(linked))
    }
}

/// Refuses objects for other machines, which could be linked but never run.
fn check_target(graph: &LinkGraph<'_>) -> Result<(), String> {
    let target = graph.target();
    if target.arch.info().name() == crate::arch::INFO.name() {
        return Ok(());
    }
    let object = graph.objects().find(|(_, object)| !object.path.is_empty());
    let object = object.map_or("the batch", |(_, object)| object.name.as_str());
    Err(format!("{object} is for {target}, and only objects for BPF make a BPF program (clang --target=bpf)"))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Every change of the state is one step, so a panic elsewhere cannot leave it half done.
    state.lock().unwrap_or_else(PoisonError::into_inner)
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
    let config = ImageConfig { base: Addr(0x10_0000_0000), arena_size: 1 << 33, page_size: 4096 };
    let executor = ImageExecutor::new(config).map_err(LinkError::from)?;
    let linked = jitlink_core::link::link(registry, &executor, inputs, &NoSymbols, &options)?;
    capture.image(&linked)
}
