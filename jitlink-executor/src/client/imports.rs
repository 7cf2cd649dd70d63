//! What is asked of shared libraries of the target.

use super::connection::unexpected;
use crate::wire::{Bytes, ExportRecord, FRAME_LIMIT, ImportsRecord, Reply, Request};
use jitlink_core::Addr;
use jitlink_core::executor::{ExecutorError, LibraryImport};
use jitlink_core::graph::ExportName;
use std::collections::HashMap;

/// Requests for imports, in order. What does not fit in one frame goes in several.
pub(super) fn requests(imports: &[LibraryImport<'_>], search: Option<&[Bytes]>) -> Vec<Request> {
    let most = FRAME_LIMIT as usize / 2;
    let record = || ImportsRecord { search: search.map(<[Bytes]>::to_vec), ..ImportsRecord::default() };
    let (mut requests, mut part, mut numbers, mut size) = (Vec::new(), record(), HashMap::new(), 0);
    for import in imports {
        let name = match import.export {
            ExportName::Name(name) => name.len(),
            ExportName::Ordinal(_) => 0,
        };
        let more = name + import.library.len() + 16;
        if size + more > most && !part.imports.is_empty() {
            requests.push(Request::Import(std::mem::replace(&mut part, record())));
            (numbers, size) = (HashMap::new(), 0);
        }
        size += more;
        let number = *numbers.entry(import.library).or_insert_with(|| {
            part.libraries.push(Bytes(import.library.to_vec()));
            part.libraries.len() as u32 - 1
        });
        part.imports.push((number, ExportRecord::new(import.export)));
    }
    requests.push(Request::Import(part));
    requests
}

/// What the answers say: an address or none for each of so many imports; nothing if libraries are not known by their files there.
pub(super) fn addresses(replies: &[Reply], count: usize) -> Result<Option<Vec<Option<Addr>>>, ExecutorError> {
    let mut found = Vec::with_capacity(count);
    for reply in replies {
        match reply {
            Reply::Addresses(addresses) => found.extend(addresses.iter().map(|address| address.map(Addr))),
            Reply::Done => return Ok(None),
            other => return Err(unexpected(other)),
        }
    }
    match found.len() == count {
        true => Ok(Some(found)),
        false => {
            let what = format!("the executor gave {} addresses for {count} imports", found.len());
            Err(ExecutorError::new(what))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_keep_the_order_and_name_a_library_once() {
        let import = |library, export| LibraryImport { library, export };
        let (name, number) = (ExportName::Name(b"f"), ExportName::Ordinal(7));
        let imports = [import(&b"a.dll"[..], name), import(b"b.dll", number), import(b"a.dll", number)];
        let requests = requests(&imports, Some(&[Bytes(b"folder".to_vec())]));
        let [Request::Import(record)] = requests.as_slice() else { panic!("{requests:?}") };
        assert_eq!(record.libraries, [Bytes(b"a.dll".to_vec()), Bytes(b"b.dll".to_vec())]);
        let (name, number) = (ExportRecord::Name(Bytes(b"f".to_vec())), ExportRecord::Ordinal(7));
        assert_eq!(record.imports, [(0, name), (1, number.clone()), (0, number)]);
        assert_eq!(record.search, Some(vec![Bytes(b"folder".to_vec())]));
    }

    #[test]
    fn what_is_too_long_for_a_frame_goes_in_several() {
        let long = vec![b'n'; FRAME_LIMIT as usize / 3];
        let import = LibraryImport { library: b"a.dll", export: ExportName::Name(&long) };
        let requests = requests(&[import; 5], None);
        assert_eq!(requests.len(), 5);
        for request in &requests {
            assert!(crate::wire::Frame::encode(1, request).is_ok());
        }
    }

    #[test]
    fn answers_are_counted() {
        let some = Reply::Addresses(vec![Some(5), None]);
        assert_eq!(
            addresses(&[some.clone(), some.clone()], 4),
            Ok(Some(vec![Some(Addr(5)), None, Some(Addr(5)), None]))
        );
        assert_eq!(addresses(&[Reply::Done], 4), Ok(None));
        assert!(addresses(&[some], 3).unwrap_err().reason.contains("2 addresses for 3 imports"));
        assert!(addresses(&[Reply::Flag(true)], 0).is_err());
    }
}
