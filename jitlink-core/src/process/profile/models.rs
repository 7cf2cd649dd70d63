//! What models of the files need: a batch of one function, and what a dump says.

use super::{Batch, Output};
use crate::addr::{Addr, Endian};
use crate::executor::{DescribedSymbol, Description};

static CODE: [u8; 16] = [0xc3; 16];

/// Writes a function of this name down.
pub(in super::super) fn record(output: &Output, name: &str) {
    let (address, size) = (Addr(0x1000), CODE.len() as u64);
    let symbol = DescribedSymbol { address, size, name: (0, name.len() as u32), object: 0 };
    let (segments, symbols, names) = (vec![(address, size)], vec![symbol], name.to_string());
    let description = Description { segments, symbols, names, ..Description::default() };
    let batch = Batch::new(&description, None, |_, _| Some(&CODE[..]));
    output.record(&batch).expect("a file that can be written to");
}

/// The names of the functions in a dump (Linux, `tools/perf/Documentation/jitdump-specification.txt`), which is whole, with nothing
/// behind its end.
pub(in super::super) fn names(dump: &[u8]) -> Vec<String> {
    let word = |at: usize| Endian::NATIVE.read(&dump[at..at + 4]) as usize;
    let (mut names, mut at) = (Vec::new(), word(8));
    while at < dump.len() {
        let (kind, size) = (word(at), word(at + 4));
        let record = &dump[at..at + size];
        match kind {
            // The name comes behind the head and six fields.
            0 => {
                let name = record[56..].split(|byte| *byte == 0).next().unwrap_or_default();
                assert_eq!(record[56 + name.len() + 1..], CODE);
                names.push(String::from_utf8_lossy(name).into_owned());
            }
            3 => assert_eq!(at + size, dump.len(), "something behind the end"),
            other => panic!("a record of kind {other}"),
        }
        at += size;
    }
    names
}
