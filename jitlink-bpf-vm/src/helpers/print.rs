//! Text from programs: `bpf_trace_printk`, `bpf_trace_vprintk`, `bpf_snprintf`.

use super::errno::{EINVAL, EOPNOTSUPP};
use super::format::{self, LIMIT};
use super::{Host, Table};
use crate::call::Call;
use crate::fault::{Access, Fault};

pub(super) static HELPERS: Table = &[
    ("trace_printk", trace_printk),
    ("trace_vprintk", trace_vprintk),
    ("snprintf", snprintf),
    // There is no BTF of a kernel here.
    ("snprintf_btf", |_, _| Ok(EOPNOTSUPP)),
];

/// How many arguments a format may have (`MAX_BPRINTF_VARARGS`).
const MAX_ARGUMENTS: u32 = 12;

impl format::Memory for Call<'_, '_> {
    fn string(&mut self, address: u64, limit: usize) -> Vec<u8> {
        self.read_string(address, limit).unwrap_or_default()
    }

    fn bytes(&mut self, address: u64, bytes: &mut [u8]) {
        if self.read(address, bytes).is_err() {
            bytes.fill(0);
        }
    }
}

/// The bytes of a format before its terminator, which has to be in `len` bytes.
fn read_format(call: &mut Call<'_, '_>, address: u64, len: u64) -> Result<Option<Vec<u8>>, Fault> {
    let mut bytes = call.read_vec(address, u64::from(len as u32))?;
    let end = bytes.iter().position(|byte| *byte == 0);
    Ok(end.map(|end| {
        bytes.truncate(end);
        bytes
    }))
}

fn trace_printk(call: &mut Call<'_, '_>, host: &Host) -> Result<u64, Fault> {
    let [text, len, a, b, c] = call.arguments();
    let Some(format) = read_format(call, text, len)? else { return Ok(EINVAL) };
    Ok(trace(call, host, &format, &[a, b, c]))
}

fn trace_vprintk(call: &mut Call<'_, '_>, host: &Host) -> Result<u64, Fault> {
    let [text, len, data, data_len, _] = call.arguments();
    let Some(format) = read_format(call, text, len)? else { return Ok(EINVAL) };
    match read_arguments(call, data, data_len)? {
        Some(arguments) => Ok(trace(call, host, &format, &arguments)),
        None => Ok(EINVAL),
    }
}

fn trace(call: &mut Call<'_, '_>, host: &Host, format: &[u8], arguments: &[u64]) -> u64 {
    match format::print(format, arguments, call) {
        Ok((text, len)) => {
            host.print(&String::from_utf8_lossy(&text[..text.len().min(LIMIT - 1)]));
            len as u64
        }
        Err(error) => error,
    }
}

/// The arguments of a format, if there are as many as there may be.
fn read_arguments(call: &mut Call<'_, '_>, data: u64, len: u64) -> Result<Option<Vec<u64>>, Fault> {
    let len = len as u32;
    if !len.is_multiple_of(8) || len > MAX_ARGUMENTS * 8 || (len > 0 && data == 0) {
        return Ok(None);
    }
    let endian = call.endian();
    let bytes = if len > 0 { call.read_vec(data, len.into())? } else { Vec::new() };
    Ok(Some(bytes.as_chunks::<8>().0.iter().map(|word| endian.read(word)).collect()))
}

/// Gives how long the text would be with its terminator.
fn snprintf(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [to, len, text, data, data_len] = call.arguments();
    let len = len as u32 as usize;
    let target = if len > 0 { Some(call.memory(to, len as u64, Access::Write)?) } else { None };
    let Some(arguments) = read_arguments(call, data, data_len)? else { return Ok(EINVAL) };
    let format = call.read_string(text, FORMAT_LIMIT)?;
    match format::print(&format, &arguments, call) {
        Ok((mut text, whole)) => {
            if let Some(target) = target {
                text.truncate(len - 1);
                text.push(0);
                target.write(&text);
            }
            Ok(whole as u64 + 1)
        }
        Err(error) => Ok(error),
    }
}

/// Formats are constants of the program; longer ones are cut.
const FORMAT_LIMIT: usize = 1 << 16;
