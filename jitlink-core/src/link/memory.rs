//! The batch's memory, from the first reservation to the executor.
//!
//! Memory is reserved before lowering, so that lowering knows what is in reach, with room for what lowering is expected to add.
//! If that was too little, the same region is asked for more: what was decided about it stays true.

use super::layout::{self, KINDS, Layout};
use super::linked::Segment;
use super::lower::Demand;
use crate::addr::{Addr, AddrRange};
use crate::error::{LinkError, LinkErrors};
use crate::executor::{
    Action, Allocation, Executor, ExecutorError, MemoryRequest, Reservation, SegmentRequest, WorkingMemory,
};
use crate::graph::LinkGraph;

/// Reserved memory.
pub(super) struct Memory {
    reservation: Box<dyn Reservation>,
    /// What was asked for, a request for each kind of segment; the empty ones were left out.
    requests: Vec<SegmentRequest>,
    range: AddrRange,
    /// The place that limits the range, for errors.
    limited_by: String,
    /// Where each kind of segment starts.
    pub(super) starts: [Addr; KINDS.len()],
    /// Where the batch lies, and others near it.
    pub(super) region: AddrRange,
}

impl Memory {
    /// Reserves what the batch is expected to need.
    pub(super) fn reserve(
        executor: &dyn Executor,
        graph: &LinkGraph<'_>,
        demand: &Demand,
    ) -> Result<Memory, LinkErrors> {
        let mut extra = [0; KINDS.len()];
        (extra[0], extra[1]) = (demand.code, demand.slots);
        (extra[3], extra[4]) = (demand.far_code, demand.far_slots);
        let requests = layout::estimate(graph, extra)?;
        let limited_by = demand.limited_by.map_or_else(String::new, |(block, index)| {
            format!("; the range is needed by {}", graph.site(block, &graph.edges(block)[index]))
        });
        Memory::request(executor, requests, demand.range, limited_by)
    }

    fn request(
        executor: &dyn Executor,
        requests: Vec<SegmentRequest>,
        range: AddrRange,
        limited_by: String,
    ) -> Result<Memory, LinkErrors> {
        let segments: Vec<SegmentRequest> = requests.iter().copied().filter(|request| request.size > 0).collect();
        let size = segments.iter().fold(0u64, |sum, request| sum.saturating_add(request.size));
        let reservation =
            executor.reserve(&MemoryRequest { segments, range }).map_err(|error| LinkError::NoMemory {
                range,
                size,
                reason: error.reason + &limited_by,
                advice: match error.advice.is_empty() {
                    true => "link less at once, or compile with -fPIC so that any address will do".into(),
                    false => error.advice,
                },
            })?;
        let mut starts = [Addr(0); KINDS.len()];
        let kinds = (0..KINDS.len()).filter(|&kind| requests[kind].size > 0);
        kinds.enumerate().for_each(|(index, kind)| starts[kind] = reservation.address(index));
        let region = reservation.region();
        Ok(Memory { reservation, requests, range, limited_by, starts, region })
    }

    /// Fixes the final sizes; asks for more where the reservation was too small.
    pub(super) fn fit(self, executor: &dyn Executor, layout: &Layout) -> Result<Memory, LinkErrors> {
        let extent = &layout.extent[..KINDS.len()];
        let fits = |(request, (size, align)): (&SegmentRequest, &(u64, u64))| {
            *size <= request.size && (*size == 0 || *align <= request.align)
        };
        let mut memory = if self.requests.iter().zip(extent).all(fits) { self } else { self.grow(executor, extent)? };
        let kept = memory.requests.iter().zip(extent).filter(|(request, _)| request.size > 0);
        let sizes: Vec<u64> = kept.map(|(_, (size, _))| *size).collect();
        memory.reservation.resize(&sizes).map_err(LinkError::from)?;
        Ok(memory)
    }

    fn grow(self, executor: &dyn Executor, extent: &[(u64, u64)]) -> Result<Memory, LinkErrors> {
        let Memory { reservation, mut requests, range, limited_by, region, .. } = self;
        for (request, &(size, align)) in requests.iter_mut().zip(extent) {
            (request.size, request.align) = (request.size.max(size), request.align.max(align));
        }
        // Given back first, so that the same addresses are free again.
        drop(reservation);
        let memory = Memory::request(executor, requests, range, limited_by)?;
        if memory.region == region {
            return Ok(memory);
        }
        let size = extent.iter().map(|(size, _)| size).sum();
        let reason = format!("the region that the batch was lowered for, {region:?}, has no room for all of it");
        Err(LinkError::NoMemory { range: region, size, reason, advice: "link again, or less at once".into() }.into())
    }

    /// The segments that have bytes, with their kinds.
    pub(super) fn segments<'m>(&'m self, layout: &'m Layout) -> impl Iterator<Item = (usize, Segment)> + 'm {
        KINDS.iter().enumerate().filter_map(move |(kind, &(protection, residence))| {
            let size = layout.extent[kind].0;
            (size > 0).then_some((kind, Segment { address: self.starts[kind], size, protection, residence }))
        })
    }

    /// The bytes of each segment, with its kind.
    pub(super) fn working(&mut self) -> Vec<(usize, WorkingMemory<'_>)> {
        let kinds = (0..KINDS.len()).filter(|&kind| self.requests[kind].size > 0);
        kinds.zip(self.reservation.working_memory()).collect()
    }

    /// Makes the bytes the target's.
    pub(super) fn finalize(self, actions: Vec<Action>) -> Result<Box<dyn Allocation>, ExecutorError> {
        self.reservation.finalize(actions)
    }
}
