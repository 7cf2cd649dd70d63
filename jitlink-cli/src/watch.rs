//! `jitlink run --watch`: objects that change on disk are linked into the running program.
//!
//! Files are looked at a few times a second; one that changed is taken when it has not changed since the last look, so that a
//! compiler has finished writing it. Objects whose update failed are tried again together with the next ones that change.

use crate::args::LinkArgs;
use crate::{inputs, report};
use jitlink::{Input, LinkErrors, Module, Updated};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const LOOK: Duration = Duration::from_millis(100);

/// What a file looks like from outside: when it was written, and its size. `None` while it is not there.
type Looks = Option<(SystemTime, u64)>;

/// The files of a program.
#[derive(Debug)]
struct Files {
    paths: Vec<PathBuf>,
    /// How each looked when it was linked last.
    linked: Vec<Looks>,
    /// How each looked a moment ago.
    last: Vec<Looks>,
    /// Those that changed and are not linked yet.
    pending: BTreeSet<usize>,
}

/// How the files look before they are linked: what changes from then on is linked again.
#[derive(Debug)]
pub(crate) struct Watch(Files);

impl Watch {
    /// Notes how the inputs look now.
    pub(crate) fn new(args: &LinkArgs) -> Watch {
        let paths: Vec<PathBuf> = args.inputs.iter().filter(|path| path.as_os_str() != "-").cloned().collect();
        let looks: Vec<Looks> = paths.iter().map(|path| looks(path)).collect();
        Watch(Files { paths, linked: looks.clone(), last: looks, pending: BTreeSet::new() })
    }

    /// Follows the files on a thread of its own for as long as the process lives.
    pub(crate) fn start(self, module: Module, args: &LinkArgs) -> std::io::Result<()> {
        let (mut files, whole_archive, format) = (self.0, args.whole_archive, args.format);
        let follow = move || {
            loop {
                std::thread::sleep(LOOK);
                if files.look() {
                    let start = Instant::now();
                    match files.update(&module, whole_archive) {
                        Ok(updated) => report::updated(&updated, start.elapsed(), format),
                        Err(errors) => report::not_updated(&errors, format),
                    }
                }
            }
        };
        std::thread::Builder::new().name("jitlink watch".into()).spawn(follow).map(drop)
    }
}

fn looks(path: &Path) -> Looks {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

impl Files {
    /// Whether something changed, and all that changed is at rest.
    fn look(&mut self) -> bool {
        let now: Vec<Looks> = self.paths.iter().map(|path| looks(path)).collect();
        let at_rest = now == self.last;
        self.last = now;
        let changed = |index: &usize| self.last[*index].is_some() && self.last[*index] != self.linked[*index];
        let changed: Vec<usize> = (0..self.paths.len()).filter(changed).collect();
        if !at_rest || changed.is_empty() {
            return false;
        }
        for &index in &changed {
            self.linked[index] = self.last[index];
        }
        self.pending.extend(changed);
        true
    }

    fn update(&mut self, module: &Module, whole_archive: bool) -> Result<Updated, LinkErrors> {
        let mut opened = Vec::new();
        for &index in &self.pending {
            // Read, not mapped: a compiler may write to the file at any time.
            let input = inputs::read_file(&self.paths[index])?;
            opened.push(if whole_archive { Input::whole_archive(input) } else { input });
        }
        // SAFETY: replacing what changed is what the user asked for with --watch, and the help says what must stay.
        let updated = unsafe { module.update(&opened) }?;
        self.pending.clear();
        Ok(updated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_taken_once_when_it_is_at_rest() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.o");
        std::fs::write(&path, "one").expect("a file");
        let looks = vec![looks(&path)];
        let mut files =
            Files { paths: vec![path.clone()], linked: looks.clone(), last: looks, pending: BTreeSet::new() };
        assert!(!files.look(), "nothing changed");
        std::fs::write(&path, "longer").expect("a file");
        assert!(!files.look(), "it may still be written to");
        assert!(files.look());
        assert!(!files.look());
        std::fs::remove_file(&path).expect("a file");
        assert!(!files.look() && !files.look(), "what is gone stays linked");
        std::fs::write(&path, "back again").expect("a file");
        assert!(!files.look() && files.look());
        assert_eq!(files.pending.len(), 1);
    }
}
