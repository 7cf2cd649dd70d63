//! Thread-local variables of an image: one block, of which start-up code gives every thread a copy.
//!
//! Their initial values stand behind the batch that they belong to, in memory that is only read. What code holds is what it holds in a
//! static program of its machine, so that start-up code finds nothing unusual.

use super::{ImageExecutor, ImageSegment, cannot_run, lock};
use crate::addr::{Addr, AddrRange};
use crate::executor::{
    ExecutorError, SegmentRequest, ThreadLocalAccess, ThreadLocalBlock, ThreadLocalQuery, ThreadLocalRequest,
    ThreadLocalVariable,
};
use crate::graph::{Protection, Residence};
use std::sync::Arc;

/// The number that `__tls_get_addr` takes for the program's own variables.
const PROGRAM: u64 = 1;

/// Where the initial values of an image's thread-local variables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageThreadLocals {
    /// Where they start.
    pub address: Addr,
    /// How many bytes there are of them; the rest of the block is zero.
    pub stored: u64,
    /// The size of a thread's block in bytes.
    pub size: u64,
    /// The alignment of a thread's block, a power of two; the initial values are aligned alike.
    pub align: u64,
}

/// The block of a batch, which the image holds until this is dropped.
struct Block {
    executor: ImageExecutor,
    place: Option<Place>,
    answers: Vec<Option<[u64; 2]>>,
}

/// What a block took up.
struct Place {
    address: Addr,
    /// The first unused address of the image before it, and after it.
    unused: (u64, u64),
}

/// Places the initial values, and answers what code has to know.
pub(super) fn block(
    executor: &ImageExecutor,
    request: &ThreadLocalRequest<'_>,
) -> Result<Box<dyn ThreadLocalBlock>, ExecutorError> {
    let answers = answers(executor, request)?;
    let place = if request.size > 0 { Some(place(executor, request)?) } else { None };
    Ok(Box::new(Block { executor: executor.clone(), place, answers }))
}

fn answers(executor: &ImageExecutor, request: &ThreadLocalRequest<'_>) -> Result<Vec<Option<[u64; 2]>>, ExecutorError> {
    let Some(layout) = request.layout else {
        return Err(cannot_run("and where static programs of this machine have thread-local variables is not known"));
    };
    if !executor.has_thread_locals {
        return Err(ExecutorError::with_advice(
            "in an image only start-up code of its own gives threads their copies of thread-local variables",
            "if the program has such code, ask for their initial values (--thread-locals); otherwise build without such variables",
        ));
    }
    let start = layout.pointer_offset(request.size, request.align);
    let answer = |query: &ThreadLocalQuery<'_>| match (query.variable, query.access) {
        // Nothing but the batch has any.
        (ThreadLocalVariable::Named(_), _) => Ok(None),
        (ThreadLocalVariable::Own(offset), ThreadLocalAccess::Static) => {
            Ok(Some([start.cast_unsigned().wrapping_add(offset), 0]))
        }
        (ThreadLocalVariable::Own(offset), ThreadLocalAccess::Dynamic) => {
            Ok(Some([PROGRAM, layout.module_offset().cast_unsigned().wrapping_add(offset)]))
        }
        (ThreadLocalVariable::Own(_), ThreadLocalAccess::Descriptor) => Err(ExecutorError::with_advice(
            "in an image nothing makes the descriptors by which code finds a thread-local variable",
            "compile with -mtls-dialect=gnu, or without -fPIC",
        )),
    };
    request.queries.iter().map(answer).collect()
}

/// Adds the initial values to the image.
fn place(executor: &ImageExecutor, request: &ThreadLocalRequest<'_>) -> Result<Place, ExecutorError> {
    let mut state = lock(&executor.state);
    if state.thread_locals.is_some() {
        return Err(ExecutorError::with_advice(
            "the image has a block of thread-local variables already, and start-up code knows one",
            "link everything with thread-local variables at once",
        ));
    }
    let (before, align) = (state.next, request.align);
    // It has an address also where there is nothing to store.
    let mut bytes = request.image.to_vec();
    bytes.resize(request.image.len().max(1), 0);
    let size = bytes.len() as u64;
    let (protection, residence) = (Protection::Read, Residence::Near);
    let address = executor.place(before, &SegmentRequest { protection, residence, size, align }, &AddrRange::ALL)?;
    let stored = request.image.len() as u64;
    state.segments.insert(address.0, ImageSegment { address, protection, bytes: Arc::new(bytes) });
    state.thread_locals = Some(ImageThreadLocals { address, stored, size: request.size, align });
    state.next = address.0 + size;
    Ok(Place { address, unused: (before, state.next) })
}

impl ThreadLocalBlock for Block {
    fn answers(&self) -> &[Option<[u64; 2]>] {
        &self.answers
    }

    fn address(&self, _offset: u64) -> Result<Addr, ExecutorError> {
        Err(cannot_run("so there is no thread that has thread-local variables"))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let Some(place) = &self.place else { return };
        let mut state = lock(&self.executor.state);
        state.segments.remove(&place.address.0);
        state.thread_locals = None;
        if state.next == place.unused.1 {
            state.next = place.unused.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ImageThreadLocals;
    use crate::Addr;
    use crate::executor::{
        Executor, StaticThreadLocals, ThreadLocalAccess, ThreadLocalQuery, ThreadLocalRequest, ThreadLocalVariable,
    };
    use crate::image::{ImageConfig, ImageExecutor};

    const LAYOUT: StaticThreadLocals = StaticThreadLocals::before_pointer();

    fn executor() -> ImageExecutor {
        ImageExecutor::new(ImageConfig::default()).unwrap()
    }

    fn request<'r>(queries: &'r [ThreadLocalQuery<'r>], layout: StaticThreadLocals) -> ThreadLocalRequest<'r> {
        ThreadLocalRequest { image: b"value", size: 20, align: 16, queries, layout: Some(layout) }
    }

    fn query(access: ThreadLocalAccess) -> ThreadLocalQuery<'static> {
        ThreadLocalQuery { variable: ThreadLocalVariable::Own(6), access }
    }

    #[test]
    fn offsets_are_those_of_static_programs() {
        let queries = [query(ThreadLocalAccess::Static), query(ThreadLocalAccess::Dynamic)];
        let answers = |layout| {
            let block = executor().with_thread_locals().thread_locals(&request(&queries, layout)).unwrap();
            block.answers().iter().map(|answer| answer.unwrap().map(u64::cast_signed)).collect::<Vec<_>>()
        };
        assert_eq!(answers(StaticThreadLocals::biased(0x7000, 0x8000)), [[-0x6ffa, 0], [1, -0x7ffa]]);
        // The block ends at a multiple of its alignment: 32 bytes before the thread pointer it starts.
        assert_eq!(answers(LAYOUT), [[-26, 0], [1, 6]]);
    }

    #[test]
    fn an_image_holds_one_block_and_says_where() {
        let executor = executor().with_thread_locals();
        let block = executor.thread_locals(&request(&[], LAYOUT)).unwrap();
        let place = ImageThreadLocals { address: Addr(0x1000_0000), stored: 5, size: 20, align: 16 };
        assert_eq!(executor.placed_thread_locals(), Some(place));
        assert_eq!(executor.segments()[0].bytes(), b"value");
        let error = executor.thread_locals(&request(&[], LAYOUT)).err().unwrap();
        assert!(error.advice.contains("at once"), "{error:?}");
        drop(block);
        assert!(executor.segments().is_empty() && executor.placed_thread_locals().is_none());
        let zeros = ThreadLocalRequest { image: &[], ..request(&[], LAYOUT) };
        let _block = executor.thread_locals(&zeros).unwrap();
        assert_eq!(executor.placed_thread_locals(), Some(ImageThreadLocals { stored: 0, ..place }));
    }

    #[test]
    fn what_no_start_up_code_makes_is_refused() {
        let error = executor().thread_locals(&request(&[], LAYOUT)).err().unwrap();
        assert!(error.advice.contains("--thread-locals"), "{error:?}");
        let executor = executor().with_thread_locals();
        let queries = [query(ThreadLocalAccess::Descriptor)];
        let error = executor.thread_locals(&request(&queries, LAYOUT)).err().unwrap();
        assert!(error.advice.contains("-mtls-dialect=gnu"), "{error:?}");
        assert!(executor.segments().is_empty());
        let unknown = ThreadLocalRequest { layout: None, ..request(&[], LAYOUT) };
        assert!(executor.thread_locals(&unknown).is_err());
        let variable = ThreadLocalVariable::Named(b"elsewhere");
        let queries = [ThreadLocalQuery { variable, access: ThreadLocalAccess::Static }];
        assert_eq!(executor.thread_locals(&request(&queries, LAYOUT)).unwrap().answers(), [None]);
    }
}
