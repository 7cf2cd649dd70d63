//! The kernel's format strings for programs (`bpf_bprintf_prepare` and what prints its result).
//!
//! They are a part of C's: `%d %i %u %x %X` with `l` or `ll`, `%c`, `%s`, and the kernel's pointers `%p %px %pK %ps %pS
//! %pB`, strings of user and kernel `%pus %pks`, and IP addresses `%pi4 %pI4 %pi6 %pI6`. All take flags and a width,
//! none a precision.

use super::errno::EINVAL;
use super::strings::is_space;

/// Where strings and addresses that a format asks for come from.
pub(super) trait Memory {
    /// The bytes of a string without its terminator, cut at `limit`; nothing if it cannot be read.
    fn string(&mut self, address: u64, limit: usize) -> Vec<u8>;
    /// Bytes; zeros if they cannot be read.
    fn bytes(&mut self, address: u64, bytes: &mut [u8]);
}

/// What one conversion is to look like.
#[derive(Clone, Copy, Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    zeros: bool,
    width: Option<usize>,
}

/// The kernel keeps the strings of a call in a buffer of this size (`MAX_BPRINTF_BIN_ARGS`, `MAX_BPRINTF_BUF`).
pub(super) const LIMIT: usize = 1024;
/// Nobody reads more columns.
const MAX_WIDTH: usize = 0x7fff;

struct Printer<'a> {
    format: &'a [u8],
    at: usize,
    arguments: &'a [u64],
    used: usize,
    out: Vec<u8>,
    /// What the output would be long, though it is cut at [`LIMIT`].
    len: usize,
}

/// The text of a format without its terminator, cut at [`LIMIT`], and how long it would be; or an error number.
pub(super) fn print(format: &[u8], arguments: &[u64], memory: &mut dyn Memory) -> Result<(Vec<u8>, usize), u64> {
    let mut printer = Printer { format, at: 0, arguments, used: 0, out: Vec::new(), len: 0 };
    while let Some(byte) = printer.peek(0) {
        // The kernel looks at all bytes, also at those that a pointer's letters hide.
        printer.at += 1;
        match byte {
            b'%' if printer.peek(0) == Some(b'%') => {
                printer.at += 1;
                printer.put(b"%");
            }
            b'%' => printer.conversion(memory)?,
            // Text may be in UTF-8.
            b' '..=b'~' | 9..=13 | 0x80.. => printer.put(&[byte]),
            _ => return Err(EINVAL),
        }
    }
    Ok((printer.out, printer.len))
}

fn ends(next: Option<u8>) -> bool {
    next.is_none_or(|byte| is_space(byte) || byte.is_ascii_punctuation())
}

impl Printer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.format.get(self.at + ahead).copied()
    }

    fn put(&mut self, bytes: &[u8]) {
        let room = LIMIT.saturating_sub(self.out.len());
        self.out.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.len += bytes.len();
    }

    fn argument(&mut self) -> Result<u64, u64> {
        let value = self.arguments.get(self.used).copied().ok_or(EINVAL);
        self.used += 1;
        value
    }

    fn spec(&mut self) -> Spec {
        let mut spec = Spec::default();
        while let Some(flag @ (b'0' | b'+' | b'-' | b' ')) = self.peek(0) {
            match flag {
                b'0' => spec.zeros = true,
                b'+' => spec.plus = true,
                b'-' => spec.left = true,
                _ => spec.space = true,
            }
            self.at += 1;
        }
        while let Some(digit @ b'0'..=b'9') = self.peek(0) {
            let width = spec.width.unwrap_or(0) * 10 + usize::from(digit - b'0');
            spec.width = Some(width.min(MAX_WIDTH));
            self.at += 1;
        }
        spec
    }

    fn conversion(&mut self, memory: &mut dyn Memory) -> Result<(), u64> {
        let argument = self.argument()?;
        let spec = self.spec();
        let kind = self.peek(0).ok_or(EINVAL)?;
        self.at += 1;
        match kind {
            b'p' => self.pointer(argument, spec, memory),
            b's' => self.string(argument, spec, memory),
            b'c' => {
                self.padded(&[argument as u8], spec);
                Ok(())
            }
            _ => {
                self.at -= 1;
                self.number(argument, spec)
            }
        }
    }

    fn number(&mut self, argument: u64, spec: Spec) -> Result<(), u64> {
        let longs = (0..2).take_while(|i| self.peek(*i) == Some(b'l')).count();
        self.at += longs;
        let kind = self.peek(0).ok_or(EINVAL)?;
        self.at += 1;
        let wide = longs > 0;
        let unsigned = if wide { argument } else { u64::from(argument as u32) };
        let signed = if wide { argument.cast_signed() } else { i64::from(argument as i32) };
        let (sign, digits) = match kind {
            b'd' | b'i' if signed < 0 => ("-", signed.unsigned_abs().to_string()),
            b'd' | b'i' if spec.plus => ("+", signed.to_string()),
            b'd' | b'i' if spec.space => (" ", signed.to_string()),
            b'd' | b'i' => ("", signed.to_string()),
            b'u' => ("", unsigned.to_string()),
            b'x' => ("", format!("{unsigned:x}")),
            b'X' => ("", format!("{unsigned:X}")),
            _ => return Err(EINVAL),
        };
        self.digits(sign, &digits, spec);
        Ok(())
    }

    fn digits(&mut self, sign: &str, digits: &str, spec: Spec) {
        let width = spec.width.filter(|_| spec.zeros && !spec.left).unwrap_or(0);
        let fill = vec![b'0'; width.saturating_sub(sign.len() + digits.len())];
        let text = [sign.as_bytes(), &fill, digits.as_bytes()].concat();
        self.padded(&text, spec);
    }

    fn string(&mut self, address: u64, spec: Spec, memory: &mut dyn Memory) -> Result<(), u64> {
        if !ends(self.peek(0)) {
            return Err(EINVAL);
        }
        let text = memory.string(address, LIMIT - 1);
        self.padded(&text, spec);
        Ok(())
    }

    fn pointer(&mut self, argument: u64, spec: Spec, memory: &mut dyn Memory) -> Result<(), u64> {
        let next = self.peek(0);
        if let Some(b'k' | b'u') = next
            && self.peek(1) == Some(b's')
        {
            self.at += 2;
            return self.string(argument, spec, memory);
        }
        match next {
            Some(b'K' | b'x') => self.hex(argument, spec),
            Some(b's' | b'S' | b'B') => self.padded(format!("{argument:#x}").as_bytes(), spec),
            Some(form @ (b'i' | b'I')) => {
                let text = match self.peek(1) {
                    Some(b'4') => ip4(form, argument, memory),
                    Some(b'6') => ip6(form, argument, memory),
                    _ => return Err(EINVAL),
                };
                self.padded(text.as_bytes(), spec);
            }
            next if ends(next) => self.hex(argument, spec),
            _ => return Err(EINVAL),
        }
        // All letters and digits belong to the conversion.
        while self.peek(0).is_some_and(|byte| byte.is_ascii_alphanumeric()) {
            self.at += 1;
        }
        Ok(())
    }

    /// An address: in 16 digits, unless there is a width.
    fn hex(&mut self, argument: u64, spec: Spec) {
        let spec = if spec.width.is_some() { spec } else { Spec { width: Some(16), zeros: true, ..spec } };
        self.digits("", &format!("{argument:x}"), spec);
    }

    fn padded(&mut self, text: &[u8], spec: Spec) {
        let fill = vec![b' '; spec.width.unwrap_or(0).saturating_sub(text.len())];
        let parts = if spec.left { [text, &fill] } else { [&fill, text] };
        parts.into_iter().for_each(|part| self.put(part));
    }
}

fn ip4(form: u8, address: u64, memory: &mut dyn Memory) -> String {
    let mut bytes = [0; 4];
    memory.bytes(address, &mut bytes);
    let parts = bytes.map(|byte| if form == b'i' { format!("{byte:03}") } else { byte.to_string() });
    parts.join(".")
}

fn ip6(form: u8, address: u64, memory: &mut dyn Memory) -> String {
    let mut bytes = [0; 16];
    memory.bytes(address, &mut bytes);
    let (pairs, _) = bytes.as_chunks::<2>();
    let parts: Vec<String> = pairs.iter().map(|pair| format!("{:04x}", u16::from_be_bytes(*pair))).collect();
    parts.join(if form == b'i' { "" } else { ":" })
}
