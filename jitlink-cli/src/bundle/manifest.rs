//! The manifest of a bundle: what was linked, how, and what came out.
//!
//! It is the first file of the bundle. All else in the bundle is listed in it, with size and hash; addresses are written as
//! people write them.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The manifest's name in the bundle.
pub(crate) const NAME: &str = "manifest.json";
/// What makes a manifest one of ours.
pub(crate) const FORMAT: &str = "jitlink bundle";
/// Raised when an older jitlink would read a bundle wrongly.
pub(crate) const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format: String,
    pub(crate) version: u32,
    /// The jitlink that recorded it.
    pub(crate) jitlink: String,
    pub(crate) inputs: Vec<Stored>,
    pub(crate) options: Options,
    /// The addresses that names had which the inputs do not define.
    pub(crate) externals: BTreeMap<String, Hex>,
    pub(crate) result: Expected,
}

/// A file of the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stored {
    pub(crate) file: String,
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

impl Stored {
    pub(crate) fn of(file: String, bytes: &[u8]) -> Stored {
        Stored { file, size: bytes.len() as u64, sha256: sha256(bytes) }
    }
}

/// What decides the result besides the inputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    pub(crate) base: Hex,
    pub(crate) arena_size: u64,
    pub(crate) page_size: u64,
    pub(crate) entry: Vec<String>,
    pub(crate) allow_undefined_entry: bool,
    pub(crate) unresolved: Unresolved,
    pub(crate) define: Vec<(String, Hex)>,
    pub(crate) alias: Vec<(String, String)>,
    pub(crate) whole_archive: bool,
    pub(crate) keep_debug: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unresolved {
    Error,
    Null,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Expected {
    /// The memory, a file a segment.
    Segments(Vec<SegmentEntry>),
    /// Why the link fails, an error each.
    Errors(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SegmentEntry {
    pub(crate) address: Hex,
    pub(crate) size: u64,
    pub(crate) protection: String,
    /// Its bytes; what it has more than the file is zero.
    pub(crate) stored: Stored,
}

/// A number that is written as `0x1000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Hex(pub(crate) u64);

impl From<Hex> for String {
    fn from(number: Hex) -> String {
        format!("{:#x}", number.0)
    }
}

impl TryFrom<String> for Hex {
    type Error = String;

    fn try_from(text: String) -> Result<Hex, String> {
        let digits = text.strip_prefix("0x").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.map(Hex).ok_or_else(|| format!("{text:?} is no address such as 0x1000"))
    }
}

/// The hash of bytes, in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why a manifest is not read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is no manifest, or a wrong one.
    Wrong(String),
    /// It is one of another version.
    Version(String),
}

/// Reads a manifest. What it is, and of which version, is looked at first.
pub(crate) fn parse(bytes: &[u8]) -> Result<Manifest, Refusal> {
    #[derive(Deserialize)]
    struct Head {
        format: String,
        version: u64,
    }
    let wrong = |error: serde_json::Error| Refusal::Wrong(format!("{NAME}: {error}"));
    let head: Head = serde_json::from_slice(bytes).map_err(wrong)?;
    if head.format != FORMAT {
        return Err(Refusal::Wrong(format!("{NAME} is that of {:?}, not of a {FORMAT}", head.format)));
    }
    if head.version != u64::from(VERSION) {
        let version = head.version;
        let what = format!("the bundle is of version {version}, and this jitlink reads version {VERSION} only");
        return Err(Refusal::Version(what));
    }
    serde_json::from_slice(bytes).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_standard() {
        // FIPS 180-2, B.1.
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn addresses_are_hexadecimal() {
        assert_eq!(Hex::try_from("0xffffffffffffffff".to_string()), Ok(Hex(u64::MAX)));
        assert_eq!(String::from(Hex(4096)), "0x1000");
        for nonsense in ["", "0x", "12", "0x+1", "0x10000000000000000", "-0x1"] {
            assert!(Hex::try_from(nonsense.to_string()).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn other_versions_are_refused_before_the_rest_is_read() {
        let error = |text: &str| parse(text.as_bytes()).unwrap_err();
        assert_eq!(
            error(r#"{"format": "jitlink bundle", "version": 2, "news": true}"#),
            Refusal::Version("the bundle is of version 2, and this jitlink reads version 1 only".into())
        );
        let other = "manifest.json is that of \"x\", not of a jitlink bundle";
        assert_eq!(error(r#"{"format": "x", "version": 1}"#), Refusal::Wrong(other.into()));
        assert!(matches!(error("["), Refusal::Wrong(what) if what.starts_with("manifest.json: ")));
        assert!(matches!(error(&"[".repeat(100_000)), Refusal::Wrong(_)));
    }
}
