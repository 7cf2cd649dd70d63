//! Files in folders where others may write too.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Makes a new file that only its user reads and writes.
///
/// Nothing that is there is opened or followed. A file of this user's, which an earlier process of the same number has left, is
/// replaced; anything else is an error.
pub(super) fn create(path: &Path) -> io::Result<File> {
    match create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let there = std::fs::symlink_metadata(path)?;
            // SAFETY: asks for a number.
            let user = unsafe { libc::geteuid() };
            if !there.is_file() || there.uid() != user {
                return Err(error);
            }
            // Removes a name. Should it mean something else by now, nothing of that is followed or written to.
            std::fs::remove_file(path)?;
            create_new(path)
        }
        other => other,
    }
}

/// Fails if there is anything of this name, be it a link to nowhere.
fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn only_files_of_ones_own_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert_eq!(create(&path).unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "of an earlier process").unwrap();
        let before = std::fs::metadata(&path).unwrap().ino();
        let kept = File::open(&path).unwrap();
        assert_eq!(create(&path).unwrap().metadata().unwrap().len(), 0);
        assert_eq!((kept.metadata().unwrap().ino(), kept.metadata().unwrap().len()), (before, 21));
        let other = folder.path().join("other");
        std::fs::write(&other, "not to be touched").unwrap();
        for target in [&other, &folder.path().join("nowhere")] {
            let link = folder.path().join("link");
            symlink(target, &link).unwrap();
            assert_eq!(create(&link).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            std::fs::remove_file(&link).unwrap();
        }
        assert_eq!(std::fs::read(&other).unwrap(), b"not to be touched");
        assert!(!folder.path().join("nowhere").exists());
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        assert_eq!(create(&folder.path().join("folder")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
