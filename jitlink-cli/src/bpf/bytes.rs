//! Bytes from files, from standard input and from the command line.

use super::error::Failure;
use std::io::Read;
use std::path::Path;

/// All of a file, or of standard input for `-`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let result = match path.as_os_str() == "-" {
        true => std::io::stdin().lock().read_to_end(&mut bytes).map(drop),
        false => std::fs::read(path).map(|read| bytes = read),
    };
    result.map_err(|error| Failure::io(path, &error))?;
    Ok(bytes)
}

/// The bytes of `HEX` or `@FILE`.
pub(super) fn hex_or_file(text: &str) -> Result<Vec<u8>, Failure> {
    match text.strip_prefix('@') {
        Some(path) => read(Path::new(path)),
        None => hex(text).map_err(|what| {
            Failure::new("hex", format!("--memory: {what}"), "give pairs of hexadecimal digits, or @FILE")
        }),
    }
}

/// What a file holds: bytes that are all hexadecimal text are read as such, others are what they are.
pub(super) fn hex_or_raw(bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let is_text = |byte: &u8| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace();
    match std::str::from_utf8(&bytes) {
        Ok(text) if bytes.iter().all(is_text) => hex(text).map_err(|what| Failure::new("hex", what, "")),
        _ => Ok(bytes),
    }
}

/// Pairs of hexadecimal digits, with any white space between them.
fn hex(text: &str) -> Result<Vec<u8>, String> {
    let mut digits = text.chars().filter(|char| !char.is_whitespace());
    let mut bytes = Vec::new();
    while let Some(high) = digits.next() {
        let value = |digit: char| digit.to_digit(16).ok_or_else(|| format!("{digit:?} is no hexadecimal digit"));
        let low = digits.next().ok_or("the number of hexadecimal digits is odd")?;
        bytes.push((value(high)? << 4 | value(low)?) as u8);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_text_and_raw_bytes_are_told_apart() {
        assert_eq!(hex_or_raw(b"b7 00 0000\n07000000\n".to_vec()).unwrap(), [0xb7, 0, 0, 0, 7, 0, 0, 0]);
        assert_eq!(hex_or_raw(vec![0xb7, 0, 0, 0]).unwrap(), [0xb7, 0, 0, 0]);
        assert!(hex_or_raw(b"b70".to_vec()).is_err());
        assert!(matches!(hex_or_file("0g"), Err(Failure::Other { message, .. }) if message.contains("'g'")));
        assert!(hex_or_file("").unwrap().is_empty());
    }
}
