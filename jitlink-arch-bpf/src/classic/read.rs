//! The spellings of classic programs.

use super::{ClassicError, Filter, MAX_INSTRUCTIONS};
use jitlink_core::Endian;

/// The program that a text spells: the numbers that `tcpdump -ddd` prints (a count, then `code jt jf k` a line), the same in one line
/// with commas (as `iptables -m bpf` and `bpf_asm` have it), or the C array of `tcpdump -dd` (`{ 0x28, 0, 0, 0xc },`).
pub fn from_text(text: &str) -> Result<Vec<Filter>, ClassicError> {
    if text.contains('{') {
        return from_array(text);
    }
    let mut entries = text.lines().enumerate().flat_map(|(number, line)| {
        line.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(move |entry| (number + 1, entry))
    });
    let (line, first) = entries.next().ok_or_else(|| ClassicError::Size("there is no program".into()))?;
    let count: usize = match first.parse() {
        Ok(count) => count,
        Err(_) => return Err(text_error(line, format!("{first:?} is no count of instructions"))),
    };
    let program = entries.map(|(line, entry)| instruction(line, entry)).collect::<Result<Vec<_>, _>>()?;
    if program.len() != count {
        let what = format!("the count says {count} instructions, but there are {}", program.len());
        return Err(text_error(line, what));
    }
    sized(program)
}

/// The program that bytes hold: `struct sock_filter` after `struct sock_filter`, eight bytes each.
pub fn from_bytes(bytes: &[u8], endian: Endian) -> Result<Vec<Filter>, ClassicError> {
    let (words, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        let what = format!("instructions are of 8 bytes, but there are {:#x} bytes", bytes.len());
        return Err(ClassicError::Size(what));
    }
    let read = |bytes: &[u8]| endian.read(bytes);
    let one =
        |word: &[u8; 8]| Filter { code: read(&word[..2]) as u16, jt: word[2], jf: word[3], k: read(&word[4..]) as u32 };
    sized(words.iter().map(one).collect())
}

fn sized(program: Vec<Filter>) -> Result<Vec<Filter>, ClassicError> {
    match program.len() {
        1..=MAX_INSTRUCTIONS => Ok(program),
        count => Err(ClassicError::Size(format!("a program has 1 to {MAX_INSTRUCTIONS} instructions, not {count}"))),
    }
}

fn text_error(line: usize, what: String) -> ClassicError {
    ClassicError::Text { line, what }
}

/// Instructions in braces, whatever stands between them.
fn from_array(text: &str) -> Result<Vec<Filter>, ClassicError> {
    let mut program = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for part in line.split('{').skip(1) {
            let inside = part.split_once('}').map(|(inside, _)| inside);
            let inside = inside.ok_or_else(|| text_error(number + 1, "a brace is not closed".into()))?;
            program.push(instruction(number + 1, &inside.replace(',', " "))?);
        }
    }
    sized(program)
}

/// Four numbers.
fn instruction(line: usize, entry: &str) -> Result<Filter, ClassicError> {
    let numbers = entry.split_whitespace().map(|word| number(line, word)).collect::<Result<Vec<u32>, _>>()?;
    let &[code, jt, jf, k] = numbers.as_slice() else {
        return Err(text_error(line, format!("{entry:?} is not the four numbers of an instruction: code jt jf k")));
    };
    let small = |name: &str, value: u32, limit: u32| match value <= limit {
        true => Ok(value),
        false => Err(text_error(line, format!("{name} is {value}, and at most {limit}"))),
    };
    let (code, jt, jf) = (small("code", code, 0xffff)?, small("jt", jt, 0xff)?, small("jf", jf, 0xff)?);
    Ok(Filter { code: code as u16, jt: jt as u8, jf: jf as u8, k })
}

fn number(line: usize, word: &str) -> Result<u32, ClassicError> {
    let parsed = match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => word.parse(),
    };
    parsed.map_err(|_| text_error(line, format!("{word:?} is no number of 32 bits")))
}
