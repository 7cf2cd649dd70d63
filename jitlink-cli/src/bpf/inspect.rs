//! `jitlink bpf inspect`: programs, maps, types and code.

use super::args::BpfInspect;
use super::error::Failure;
use super::program;
use super::table::Table;
use crate::args::Format;
use jitlink::bpf::btf::{Kind, TypeId};
use jitlink::bpf::catalog::{helpers, maps, programs::classify};
use jitlink::bpf::image::{BpfImage, ExternKind, Function, MapDefinition, Target};
use jitlink::bpf::insn::{Callee, Op, WORD, decode, words};
use jitlink::core::Addr;
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

pub(super) fn run(args: &BpfInspect) -> Result<ExitCode, Failure> {
    let image = program::link(&args.link)?;
    let mut out = std::io::stdout().lock();
    // A closed pipe is the reader's wish.
    let _ = match args.link.format {
        Format::Json => writeln!(out, "{:#}", to_json(&image, args)),
        Format::Text => write(&mut out, &image, args),
    };
    Ok(ExitCode::SUCCESS)
}

fn to_json(image: &BpfImage, args: &BpfInspect) -> Value {
    let functions = image.functions.iter().map(|function| {
        let code = || code(image, function).iter().map(Line::to_json).collect::<Vec<_>>();
        json!({
            "name": function.name,
            "section": function.section,
            "instructions": function.size / WORD as u64,
            "program": function.entry,
            "type": program::kind(function).filter(|_| function.entry).map(|kind| kind.name()),
            "global": function.global,
            "code": args.code.then(code),
        })
    });
    let maps = image.maps.iter().map(|map| {
        json!({
            "name": map.name,
            "type": map_type(map),
            "key_size": map.key_size,
            "value_size": map.value_size,
            "max_entries": map.max_entries,
            "flags": format!("{:#x}", map.flags),
            "key": type_name(image, map.types.0),
            "value": type_name(image, map.types.1),
        })
    });
    let data = image
        .data
        .iter()
        .map(|data| json!({ "section": data.section, "size": data.size, "protection": data.protection.name() }));
    let externs = image
        .externs
        .iter()
        .map(|name| json!({ "name": name.name, "kind": extern_kind(name.kind), "weak": name.weak }));
    let types = || definitions(image).collect::<Vec<_>>();
    json!({
        "version": 1,
        "endian": image.endian.name(),
        "license": image.license,
        "functions": functions.collect::<Vec<_>>(),
        "maps": maps.collect::<Vec<_>>(),
        "data": data.collect::<Vec<_>>(),
        "externs": externs.collect::<Vec<_>>(),
        "types": args.types.then(types),
    })
}

fn write(out: &mut impl Write, image: &BpfImage, args: &BpfInspect) -> std::io::Result<()> {
    let cell = |name: &str, text: String| (name.to_string(), text);
    let license = if image.license.is_empty() { "no licence" } else { &image.license };
    writeln!(out, "{}-endian, {license}", image.endian.name())?;
    let mut functions = Table::default();
    for function in &image.functions {
        let section = classify(&function.section).filter(|_| function.entry);
        let kind = match (function.entry, section) {
            (false, _) => "subprogram".to_string(),
            (true, Some(section)) => section.rule.program.name().to_string(),
            (true, None) => "program of no known kind".to_string(),
        };
        functions.row([
            cell("function", function.name.clone()),
            cell("kind", kind),
            cell("section", function.section.clone()),
            cell("instructions", (function.size / WORD as u64).to_string()),
        ]);
    }
    heading(out, "functions", &functions)?;
    let mut maps = Table::default();
    for map in &image.maps {
        maps.row([
            cell("map", map.name.clone()),
            cell("type", map_type(map)),
            cell("entries", map.max_entries.to_string()),
            cell("key", sized(image, map.types.0, map.key_size)),
            cell("value", sized(image, map.types.1, map.value_size)),
        ]);
    }
    heading(out, "maps", &maps)?;
    let mut data = Table::default();
    for block in &image.data {
        data.row([
            cell("section", block.section.clone()),
            cell("bytes", block.size.to_string()),
            cell("access", block.protection.name().to_string()),
        ]);
    }
    heading(out, "data", &data)?;
    let mut externs = Table::default();
    for name in &image.externs {
        let weak = if name.weak { "may be missing" } else { "" };
        externs.row([
            cell("name", name.name.clone()),
            cell("of the kernel", extern_kind(name.kind).into()),
            cell("", weak.into()),
        ]);
    }
    heading(out, "names of the kernel", &externs)?;
    if args.types {
        writeln!(out)?;
        definitions(image).try_for_each(|definition| writeln!(out, "{definition}\n"))?;
    }
    if args.code {
        image.functions.iter().try_for_each(|function| write_code(out, image, function))?;
    }
    Ok(())
}

fn heading(out: &mut impl Write, name: &str, table: &Table) -> std::io::Result<()> {
    if table.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{name}")?;
    table.write(out)
}

fn map_type(map: &MapDefinition) -> String {
    maps::by_number(map.kind).map_or_else(|| format!("type {}", map.kind), |kind| kind.name.to_string())
}

fn extern_kind(kind: ExternKind) -> &'static str {
    match kind {
        ExternKind::Config => "configuration",
        ExternKind::Variable => "variable",
        ExternKind::Function => "function",
    }
}

fn type_name(image: &BpfImage, id: u32) -> Option<String> {
    (id != 0).then(|| image.types.btf.c_type(TypeId(id)))
}

fn sized(image: &BpfImage, id: u32, size: u32) -> String {
    type_name(image, id).unwrap_or_else(|| format!("{size} bytes"))
}

/// The types that have a name of their own, as C.
fn definitions(image: &BpfImage) -> impl Iterator<Item = String> {
    let defines = |kind: Kind| kind.is_composite() || kind.is_enum() || kind == Kind::Typedef;
    let types = image.types.btf.types().filter(move |ty| defines(ty.kind()) && !ty.name().is_empty());
    types.map(|ty| image.types.btf.c_definition(ty.id()))
}

/// An instruction with what is known of it.
struct Line {
    index: usize,
    text: String,
    /// What it refers to.
    target: Option<String>,
    /// The source line, where a new one begins: file and number, text.
    source: Option<(String, String)>,
}

impl Line {
    fn to_json(&self) -> Value {
        let source = self.source.as_ref().map(|(place, text)| json!({ "place": place, "text": text }));
        json!({ "index": self.index, "text": self.text, "target": self.target, "source": source })
    }
}

/// The instructions of a function.
fn code(image: &BpfImage, function: &Function) -> Vec<Line> {
    let bytes = image.segments.iter().find_map(|segment| {
        let start = function.address.0.checked_sub(segment.address.0)? as usize;
        segment.bytes.get(start..start + function.size as usize)
    });
    let words = bytes.and_then(|bytes| words(bytes, image.endian)).unwrap_or_default();
    let (mut lines, mut index, mut last) = (Vec::new(), 0, None);
    while index < words.len() {
        let address = function.address + (index * WORD) as u64;
        let decoded = decode(&words, index);
        let (text, size) = match &decoded {
            Ok(op) => (op.to_string(), op.words()),
            Err(error) => (format!("?? {}", error.what), 1),
        };
        let line = image.line_at(address).map(|line| {
            (format!("{}:{}", line.file, line.line), String::from_utf8_lossy(line.text).trim().to_string())
        });
        let source = line.filter(|line| last.as_ref() != Some(line));
        if source.is_some() {
            last.clone_from(&source);
        }
        lines.push(Line { index, text, target: target(image, address, decoded.ok()), source });
        index += size;
    }
    lines
}

/// What an instruction refers to, by name.
fn target(image: &BpfImage, address: Addr, op: Option<Op>) -> Option<String> {
    match image.reference_at(address) {
        Some(Target::Map(index)) => Some(format!("map {}", image.maps.get(index)?.name)),
        Some(Target::Data { block, offset }) => Some(format!("{}{offset:+#x}", image.data.get(block)?.section)),
        Some(Target::Function(index)) => Some(image.functions.get(index)?.name.clone()),
        Some(Target::Extern(index)) => Some(image.externs.get(index)?.name.clone()),
        None => match op {
            Some(Op::Call(Callee::Helper(number))) => Some(format!("bpf_{}", helpers::by_number(number)?.name)),
            _ => None,
        },
    }
}

fn write_code(out: &mut impl Write, image: &BpfImage, function: &Function) -> std::io::Result<()> {
    writeln!(out, "\n{}:", function.name)?;
    for line in code(image, function) {
        if let Some((place, text)) = &line.source {
            writeln!(out, "                                ; {text}  ({place})")?;
        }
        match &line.target {
            Some(target) => writeln!(out, "  {:>6}: {:<40} {target}", line.index, line.text)?,
            None => writeln!(out, "  {:>6}: {}", line.index, line.text)?,
        }
    }
    Ok(())
}
