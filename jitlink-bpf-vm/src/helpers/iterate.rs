//! Loops whose bodies are functions of the program, and iterators.

use super::errno::{E2BIG, EINVAL};
use super::maps::map;
use super::{Host, Table};
use crate::address::{FRAME_SIZE, STACK};
use crate::call::Call;
use crate::fault::Fault;
use crate::machine::ALL_FRAMES;

pub(super) static HELPERS: Table = &[("loop", bpf_loop), ("for_each_map_elem", for_each_map_elem)];

pub(super) static KERNEL_FUNCTIONS: Table = &[
    ("bpf_iter_num_new", iter_num_new),
    ("bpf_iter_num_next", iter_num_next),
    ("bpf_iter_num_destroy", |call, _| {
        let iterator = call.argument(0);
        call.store(iterator, 8, 0).map(|()| 0)
    }),
];

/// How often a loop goes round at most (`BPF_MAX_LOOPS`).
const MAX_LOOPS: i64 = 8 << 20;

/// Calls a function for 0, 1, 2… until it returns something else than 0; gives how often.
fn bpf_loop(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [count, function, context, flags, _] = call.arguments();
    let count = count as u32;
    if flags != 0 {
        return Ok(EINVAL);
    }
    if i64::from(count) > MAX_LOOPS {
        return Ok(E2BIG);
    }
    for index in 0..u64::from(count) {
        if call.call(function, [index, context, 0, 0, 0])? != 0 {
            return Ok(index + 1);
        }
    }
    Ok(count.into())
}

/// Gives memory that the program can see, at the end of the stack, to `work`. What was there is there again afterwards,
/// so calls nest.
///
/// # Panics
/// With more bytes than a frame has.
pub(super) fn with_scratch<T>(
    call: &mut Call<'_, '_>,
    len: usize,
    work: impl FnOnce(&mut Call<'_, '_>, u64) -> Result<T, Fault>,
) -> Result<T, Fault> {
    assert!(len <= FRAME_SIZE as usize, "{len} bytes of a frame of {FRAME_SIZE}");
    let address = STACK + (ALL_FRAMES as u64 - 1) * FRAME_SIZE;
    call.open_stack();
    let before = call.read_vec(address, len as u64)?;
    let result = work(call, address)?;
    call.write(address, &before)?;
    Ok(result)
}

/// Calls a function for each element until it returns something else than 0; gives how often.
fn for_each_map_elem(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let map = map(call, 0)?;
    let [handle, function, context, flags, _] = call.arguments();
    let key_size = map.spec().key_size as usize;
    if flags != 0 || key_size > FRAME_SIZE as usize {
        return Ok(EINVAL);
    }
    let cpu = call.cpu();
    with_scratch(call, key_size, |call, scratch| {
        let (mut cursor, mut count) = (0, 0);
        while let Some(elements) = map.on_cpu(cpu).step(&mut cursor) {
            for element in elements {
                call.write(scratch, &element.key)?;
                let value = call.value_address(&map, element.offset);
                count += 1;
                if call.call(function, [handle, scratch, value, context, 0])? != 0 {
                    return Ok(count);
                }
            }
        }
        Ok(count)
    })
}

/// An iterator is two numbers of 32 bits: the last one given, and where it ends.
fn iter_num_new(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [iterator, start, end, ..] = call.arguments();
    let (start, end) = (start as i32, end as i32);
    let count = i64::from(end) - i64::from(start);
    let error = match count {
        ..0 => EINVAL,
        0..=MAX_LOOPS => 0,
        _ => E2BIG,
    };
    let (last, end) = if error == 0 { (start.wrapping_sub(1), end) } else { (0, 0) };
    call.store(iterator, 4, u64::from(last.cast_unsigned()))?;
    call.store(iterator.wrapping_add(4), 4, u64::from(end.cast_unsigned()))?;
    Ok(error)
}

/// The address of the next number, which is in the iterator itself; null at the end.
fn iter_num_next(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let iterator = call.argument(0);
    let last = call.load(iterator, 4)? as i32;
    let end = call.load(iterator.wrapping_add(4), 4)? as i32;
    let next = last.wrapping_add(1);
    if i64::from(next) >= i64::from(end) {
        call.store(iterator, 8, 0)?;
        return Ok(0);
    }
    call.store(iterator, 4, u64::from(next.cast_unsigned()))?;
    Ok(iterator)
}
