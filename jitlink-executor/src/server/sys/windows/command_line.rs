//! The command line, which is all that Windows gives a process of its arguments ("Parsing C command-line arguments").
//!
//! That of this process is not the program's, so linked code that asks the system for it is answered here.

use jitlink_core::Addr;
use std::ffi::{CString, c_char};
use std::sync::{Mutex, PoisonError};

/// Both forms, which live for as long as the process, as programs expect.
static CURRENT: Mutex<Option<(&'static [u8], &'static [u16])>> = Mutex::new(None);

/// Sets it from arguments, the program's name first.
pub(super) fn set(arguments: &[CString]) {
    let words: Vec<String> = arguments.iter().map(|word| quoted(&word.to_string_lossy())).collect();
    let line = words.join(" ");
    let narrow = line.bytes().chain([0]).collect::<Vec<u8>>().leak();
    let wide = line.encode_utf16().chain([0]).collect::<Vec<u16>>().leak();
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some((narrow, wide));
}

fn current() -> (&'static [u8], &'static [u16]) {
    let current = *CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    current.unwrap_or((b"jitlink-executor\0", &[0]))
}

/// A word as it is read back: in quotes where it must be, backslashes twice before a quote.
fn quoted(word: &str) -> String {
    if !word.is_empty() && !word.contains([' ', '\t', '"']) {
        return word.to_owned();
    }
    let (mut text, mut backslashes) = (String::from('"'), 0);
    for each in word.chars() {
        match each {
            '\\' => backslashes += 1,
            '"' => {
                text.extend(std::iter::repeat_n('\\', backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        text.push(each);
    }
    text.extend(std::iter::repeat_n('\\', backslashes));
    text.push('"');
    text
}

/// What linked code gets in the place of the system's functions.
pub(super) fn service(name: &[u8]) -> Option<Addr> {
    match name {
        b"GetCommandLineA" => Some(Addr(narrow as *const () as u64)),
        b"GetCommandLineW" => Some(Addr(wide as *const () as u64)),
        _ => None,
    }
}

unsafe extern "system" fn narrow() -> *const c_char {
    current().0.as_ptr().cast()
}

unsafe extern "system" fn wide() -> *const u16 {
    current().1.as_ptr()
}
