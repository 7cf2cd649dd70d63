//! Thin archives, which only name the files that are their members: a bundle holds them as ordinary archives.

use jitlink::core::archive::{Archive, MemberData};
use jitlink::{Input, LinkError};

/// The bytes of an input as a bundle holds them. Archives that cannot be read stay as they are, for the link to refuse.
pub(crate) fn flatten(name: &str, bytes: &[u8]) -> Result<Vec<u8>, LinkError> {
    match Archive::recognize(bytes).then(|| Archive::parse(name, bytes)) {
        Some(Ok(archive)) if refers_to_files(&archive) => ordinary(&archive),
        _ => Ok(bytes.to_vec()),
    }
}

/// Whether an input of a bundle would have other files opened.
pub(crate) fn is_thin(name: &str, bytes: &[u8]) -> bool {
    Archive::recognize(bytes) && Archive::parse(name, bytes).is_ok_and(|archive| refers_to_files(&archive))
}

fn refers_to_files(archive: &Archive<'_>) -> bool {
    archive.members().iter().any(|member| matches!(member.data, MemberData::External(_)))
}

/// The same members in an archive of their own, with long names in a table, as GNU ar writes them. It has no index, since
/// the linker finds out by itself what members define.
fn ordinary(archive: &Archive<'_>) -> Result<Vec<u8>, LinkError> {
    let (mut names, mut members) = (String::new(), Vec::new());
    for member in archive.members() {
        let file;
        let bytes = match &member.data {
            MemberData::Inline(bytes) => *bytes,
            MemberData::External(path) => {
                file = Input::open(path)?;
                file.bytes()
            }
        };
        // Only the file's own name: where it was is nobody's business.
        let own = member.name.rsplit('/').next().unwrap_or_default().replace('\n', "_");
        push(&mut members, &format!("/{}", names.len()), bytes)?;
        names.push_str(&own);
        names.push_str("/\n");
    }
    let mut archive = b"!<arch>\n".to_vec();
    push(&mut archive, "//", names.as_bytes())?;
    archive.extend(members);
    Ok(archive)
}

fn push(archive: &mut Vec<u8>, name: &str, bytes: &[u8]) -> Result<(), LinkError> {
    // The header has ten digits for the size.
    let (value, limit) = (bytes.len() as u64, 9_999_999_999);
    if value > limit {
        return Err(LinkError::TooLarge { what: "size of an archive's member".into(), value, limit });
    }
    archive.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{value:<10}`\n", 0, 0, 0, 644).bytes());
    archive.extend_from_slice(bytes);
    if value % 2 == 1 {
        archive.push(b'\n');
    }
    Ok(())
}
