//! Rebuilds the committed objects that tests read.
//!
//! A plain `cargo test` needs no compiler, because small objects are committed beside their sources: for
//! `CRATE/tests/fixtures/**/NAME.{s,c,cpp}` (and the same of `examples/PROJECT`, and all of `examples/packets`) whose first line holds a directive, `NAME.o` is what the directive makes.
//!
//! ```text
//! // fixture: gcc -O2 -fPIC -c
//! # fixture: clang-22 --target=powerpc64le-linux-gnu -c
//! ```
//!
//! The source and `-o NAME.o` are appended, and the command runs in the source's folder, so that no object holds a path
//! of the machine it was made on.

use crate::process::{find_tool, root, run};
use crate::{Args, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const OPTIONS: &str = "  --only TEXT   only sources whose path contains TEXT\n";

pub(crate) fn main(mut args: Args) -> Result {
    let only = args.value("--only")?.unwrap_or_default();
    args.finish()?;
    let mut count = 0;
    for source in sources(&root())? {
        if source.to_string_lossy().contains(&only) {
            rebuild(&source)?;
            count += 1;
        }
    }
    println!("{count} objects are rebuilt");
    Ok(())
}

/// Every source with a directive, in order of path.
pub(crate) fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let packets = root.join("examples/packets");
    if packets.is_dir() {
        collect(&packets, &mut found)?;
    }
    for parent in [root.to_path_buf(), root.join("examples")] {
        for entry in std::fs::read_dir(parent)? {
            let folder = entry?.path().join("tests/fixtures");
            if folder.is_dir() {
                collect(&folder, &mut found)?;
            }
        }
    }
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if matches!(path.extension().and_then(|extension| extension.to_str()), Some("s" | "S" | "c" | "cpp"))
            && directive(&path)?.is_some()
        {
            found.push(path);
        }
    }
    Ok(())
}

/// The words of the command in the source's first line.
fn directive(source: &Path) -> Result<Option<Vec<String>>> {
    let text = std::fs::read_to_string(source).map_err(|error| format!("{}: {error}", source.display()))?;
    Ok(parse(text.lines().next().unwrap_or_default()))
}

fn parse(line: &str) -> Option<Vec<String>> {
    let comment = line.strip_prefix("//").or_else(|| line.strip_prefix('#'))?;
    let command = comment.trim_start().strip_prefix("fixture:")?;
    Some(command.split_whitespace().map(str::to_owned).collect())
}

fn rebuild(source: &Path) -> Result {
    let words = directive(source)?.unwrap_or_default();
    let (program, arguments) = words.split_first().ok_or_else(|| format!("{}: empty directive", source.display()))?;
    let tool = find_tool(&[program])
        .ok_or_else(|| format!("{}: {program} is not installed (try `cargo xtask setup`)", source.display()))?;
    let (folder, name) = (source.parent(), source.file_name());
    let (Some(folder), Some(name)) = (folder, name) else { return Err("a source has no name".into()) };
    let object = source.with_extension("o");
    let object = object.file_name().unwrap_or_default();
    println!("{} {}", program, source.strip_prefix(root()).unwrap_or(source).display());
    run(Command::new(tool).args(arguments).arg(name).arg("-o").arg(object).current_dir(folder))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn directives_stand_in_either_comment_style() {
        assert_eq!(parse("// fixture: gcc -O2 -c").unwrap(), ["gcc", "-O2", "-c"]);
        assert_eq!(parse("# fixture: clang-22 -c").unwrap(), ["clang-22", "-c"]);
        assert_eq!(parse("# a comment"), None);
        assert_eq!(parse("int main(void) { return 0; }"), None);
    }
}
