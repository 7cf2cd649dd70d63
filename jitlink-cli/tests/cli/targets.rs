//! `jitlink targets`, and the README that promises the same.

use super::support::{Outcome, jitlink};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

fn targets() -> serde_json::Value {
    let outcome = Outcome::of(&mut jitlink(["targets", "--format", "json"]));
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// The cells of the table in README.md that stands after `<!-- NAME -->`, without its head.
fn readme_table(name: &str) -> Vec<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let (_, rest) =
        readme.split_once(&format!("<!-- {name} -->\n")).unwrap_or_else(|| panic!("README.md has no {name}"));
    let cell = |cell: &str| cell.trim().trim_matches('`').to_string();
    let row = |line: &str| line.trim().trim_matches('|').split('|').map(cell).collect();
    rest.lines().take_while(|line| line.starts_with('|')).skip(2).map(row).collect()
}

#[test]
fn the_support_table_of_the_readme_is_what_this_build_links() {
    let targets = targets();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_string();
    let registered: Vec<Vec<String>> = targets["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| {
            let bits = target["pointer_bytes"].as_u64().unwrap() * 8;
            let served = target["relocations"].as_u64().unwrap() - target["refused"].as_u64().unwrap();
            vec![
                text(&target["format"]),
                text(&target["architecture"]),
                format!("{bits}-bit"),
                text(&target["endian"]),
                served.to_string(),
            ]
        })
        .collect();
    let documented: Vec<Vec<String>> = readme_table("targets").into_iter().map(|row| row[..5].to_vec()).collect();
    assert_eq!(documented, registered);
}

#[test]
fn the_features_of_the_readme_are_those_of_the_library() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let manifest = std::fs::read_to_string(root.join("jitlink/Cargo.toml")).unwrap();
    let (_, features) = manifest.split_once("[features]\n").unwrap();
    let names = features.lines().take_while(|line| !line.starts_with('['));
    let names = names.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_string());
    let declared: BTreeSet<String> = names.filter(|name| name != "default").collect();
    let documented: BTreeSet<String> = readme_table("features").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(documented, declared);
}

#[test]
fn the_table_shows_each_target() {
    let outcome = Outcome::of(&mut jitlink(["targets"]));
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    for target in targets()["targets"].as_array().unwrap() {
        let words = [&target["format"], &target["architecture"]].map(|value| value.as_str().unwrap());
        assert!(outcome.stdout.lines().any(|line| words.iter().all(|word| line.contains(word))), "{}", outcome.stdout);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error_to_report() {
    let mut child = jitlink(["targets", "--format", "json"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut complaints = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
    child.wait().unwrap();
    assert_eq!(complaints, "");
}
