//! `jitlink replay`: link what a bundle holds, and compare.

use super::args::Replay;
use super::case::{Case, Outcome};
use super::container::{self, Files};
use super::manifest::{self, Expected, Manifest, Refusal, SegmentEntry, Stored};
use super::thin;
use crate::progress::Progress;
use crate::{image, inputs, link, report};
use jitlink::core::image::ImageSegment;
use jitlink::{Input, LinkError, LinkErrors, Site};
use std::collections::BTreeSet;
use std::process::ExitCode;

pub(crate) fn run(args: &Replay) -> ExitCode {
    match replay(args) {
        Ok(same) => {
            let quiet = [&args.map, &args.image].into_iter().flatten().any(|path| link::is_standard_output(path));
            if !quiet {
                println!("{same}");
            }
            ExitCode::SUCCESS
        }
        Err(errors) => report::failure(&errors, args.format, &[]),
    }
}

/// Says what was the same.
fn replay(args: &Replay) -> Result<String, LinkErrors> {
    if [&args.map, &args.image].into_iter().flatten().filter(|path| link::is_standard_output(path)).count() == 2 {
        link::usage("only one of --map and --image can go to standard output");
    }
    let bundle = inputs::open_one(&args.bundle)?;
    let wrong = |what: String| LinkError::malformed(bundle.name(), "", 0, what);
    let files = container::read(bundle.bytes()).map_err(wrong)?;
    let manifest = files.get(manifest::NAME).ok_or_else(|| wrong(format!("it has no {}", manifest::NAME)))?;
    let manifest = manifest::parse(manifest).map_err(|refusal| match refusal {
        Refusal::Wrong(what) => wrong(what),
        Refusal::Version(what) => {
            let site = Box::new(Site { object: bundle.name().into(), ..Site::default() });
            let advice = "replay it with the jitlink that recorded it, or record the link again with this one".into();
            LinkError::Unsupported { site, what, advice }
        }
    })?;
    check(&manifest, &files).map_err(wrong)?;
    let case = case(&manifest, &files).map_err(wrong)?;
    let progress = Progress::start(format!("linking {} files", case.inputs.len()));
    let outcome = case.link(args.threads.map(|count| count as usize))?;
    drop(progress);
    // What came out is written even if it is not the same: to see why.
    if let Outcome::Linked { module, segments } = &outcome {
        let layout = image::Layout::of(segments.clone(), None);
        if let Some(path) = &args.image {
            image::write(path, &layout)?;
        }
        if let Some(path) = &args.map {
            link::write_map_to(path, module, Some(&layout))?;
        }
    }
    compare(&manifest.result, &files, &outcome).map_err(|difference| {
        let ours = env!("CARGO_PKG_VERSION");
        let whose = match manifest.jitlink == ours {
            true => "this version recorded it".to_string(),
            false => format!("jitlink {} recorded it, this is jitlink {ours}", manifest.jitlink),
        };
        LinkError::Request(format!("{}: the result differs: {difference} ({whose})", bundle.name())).into()
    })
}

/// Whether the files are those that the manifest lists.
fn check(manifest: &Manifest, files: &Files<'_>) -> Result<(), String> {
    let segments = match &manifest.result {
        Expected::Segments(segments) => segments.as_slice(),
        Expected::Errors(_) => &[],
    };
    let listed = manifest.inputs.iter().chain(segments.iter().map(|segment| &segment.stored));
    let mut names = BTreeSet::from([manifest::NAME]);
    for Stored { file, size, sha256 } in listed {
        if !names.insert(file) {
            return Err(format!("{} lists {file} twice", manifest::NAME));
        }
        let bytes = files.get(file).ok_or_else(|| format!("{file} is missing in it"))?;
        if bytes.len() as u64 != *size || manifest::sha256(bytes) != *sha256 {
            return Err(format!("{file} in it is damaged: size or hash is not that of {}", manifest::NAME));
        }
    }
    match files.keys().find(|name| !names.contains(name.as_str())) {
        Some(stray) => Err(format!("{stray} is in it, and {} does not list it", manifest::NAME)),
        None => Ok(()),
    }
}

fn case(manifest: &Manifest, files: &Files<'_>) -> Result<Case, String> {
    let mut inputs = Vec::new();
    for stored in &manifest.inputs {
        let (bytes, name) = (files[&stored.file], stored.file.strip_prefix("inputs/").unwrap_or(&stored.file));
        // Its members would be read from this machine's disk, whoever wrote their names.
        if thin::is_thin(name, bytes) {
            return Err(format!("{} in it is a thin archive, which names files outside", stored.file));
        }
        let input = Input::from_bytes(name, bytes);
        inputs.push(if manifest.options.whole_archive { input.whole_archive() } else { input });
    }
    Ok(Case { inputs, options: manifest.options.clone(), externals: manifest.externals.clone() })
}

/// What is the same, or the first difference.
fn compare(expected: &Expected, files: &Files<'_>, outcome: &Outcome) -> Result<String, String> {
    match (expected, outcome) {
        (Expected::Errors(errors), Outcome::Linked { .. }) => {
            Err(format!("it links here, where the recorded link failed: {}", first(errors)))
        }
        (Expected::Segments(_), Outcome::Failed(errors)) => {
            let error = errors.iter().next().map(|error| error.to_string()).unwrap_or_default();
            Err(format!("it fails here, where the recorded link did not: {error}"))
        }
        (Expected::Errors(expected), Outcome::Failed(_)) => match outcome.expected() {
            Expected::Errors(errors) if errors == *expected => {
                Ok(format!("the same: it fails with {}", first(expected)))
            }
            Expected::Errors(errors) => {
                let pairs = errors.iter().zip(expected).find(|(here, there)| here != there);
                Err(match pairs {
                    Some((here, there)) => format!("it fails with {here}, where the recorded link had {there}"),
                    None => format!("it fails with {} errors, the recorded link with {}", errors.len(), expected.len()),
                })
            }
            Expected::Segments(_) => Err("it links here".into()),
        },
        (Expected::Segments(entries), Outcome::Linked { segments, .. }) => {
            if entries.len() != segments.len() {
                return Err(format!("{} segments here, {} there", segments.len(), entries.len()));
            }
            for (entry, segment) in entries.iter().zip(segments) {
                compare_segment(entry, files[&entry.stored.file], segment, outcome)?;
            }
            let bytes: u64 = entries.iter().map(|entry| entry.size).sum();
            Ok(format!("the same: {} segments, {bytes} bytes", entries.len()))
        }
    }
}

fn first(errors: &[String]) -> &str {
    errors.first().map_or("nothing", String::as_str)
}

fn compare_segment(
    entry: &SegmentEntry,
    there: &[u8],
    segment: &ImageSegment,
    outcome: &Outcome,
) -> Result<(), String> {
    let here = (segment.address.0, segment.size(), segment.protection.name());
    if here != (entry.address.0, entry.size, entry.protection.as_str()) {
        return Err(format!(
            "a segment is {} {:#x} with {:#x} bytes here, {} {:#x} with {:#x} there",
            here.2, here.0, here.1, entry.protection, entry.address.0, entry.size
        ));
    }
    let at = |bytes: &[u8], index: usize| bytes.get(index).copied().unwrap_or(0);
    let (bytes, size) = (segment.stored_bytes(), segment.stored_bytes().len().max(there.len()));
    let mut different = (0..size).filter(|&index| at(bytes, index) != at(there, index));
    let Some(index) = different.next() else { return Ok(()) };
    let address = segment.address.0 + index as u64;
    let place = outcome.section_at(address).map_or(String::new(), |place| format!(" ({place})"));
    let more = match different.count() {
        0 => String::new(),
        count => format!(", and {count} more bytes of this segment"),
    };
    Err(format!(
        "the byte at {address:#x}{place} is {:#04x} here and {:#04x} there{more}",
        at(bytes, index),
        at(there, index)
    ))
}
