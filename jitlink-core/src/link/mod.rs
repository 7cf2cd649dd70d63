//! The phases of a link, in order.

mod pipeline;

pub use pipeline::{Pass, PassContext, Pipeline, Stage};
