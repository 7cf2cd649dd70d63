//! `jitlink targets`: what this build can link.

use crate::args::{Format, Targets};
use crate::report;
use jitlink::Registry;
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;

pub(crate) fn run(args: &Targets) -> ExitCode {
    let registry = match Registry::global() {
        Ok(registry) => registry,
        Err(error) => return report::failure(&error.into(), args.format, &[]),
    };
    let mut out = std::io::stdout().lock();
    let written = match args.format {
        Format::Json => writeln!(out, "{:#}", as_json(&registry)),
        Format::Text => write_table(&mut out, &registry),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the pipe has gone, as `head` does.
        Err(_) => ExitCode::from(1),
    }
}

fn as_json(registry: &Registry) -> serde_json::Value {
    let formats = registry.formats().iter();
    let archs = registry.archs().iter();
    let tables = registry.tables().iter();
    json!({
        "version": 1,
        "formats": formats.map(|format| json!({ "name": format.name(), "description": format.description() })).collect::<Vec<_>>(),
        "architectures": archs.map(|arch| {
            json!({ "name": arch.info().name(), "description": arch.info().description() })
        }).collect::<Vec<_>>(),
        "targets": tables.map(|table| {
            let served = table.rows().iter().filter(|row| row.refusal().is_none()).count();
            json!({
                "format": table.format(),
                "architecture": table.arch(),
                "machine": table.machine(),
                "pointer_bytes": table.pointer_bytes(),
                "endian": table.byte_order().map_or("both", |order| order.name()),
                "relocations": table.rows().len(),
                "refused": table.rows().len() - served,
            })
        }).collect::<Vec<_>>(),
    })
}

fn write_table(out: &mut impl Write, registry: &Registry) -> std::io::Result<()> {
    writeln!(out, "{:<8} {:<14} {:>7} {:>8} {:>11}", "format", "architecture", "machine", "pointers", "relocations")?;
    for table in registry.tables() {
        let bits = u32::from(table.pointer_bytes()) * 8;
        let (format, arch, machine) = (table.format(), table.arch(), table.machine());
        writeln!(out, "{format:<8} {arch:<14} {machine:>7} {:>8} {:>11}", format!("{bits}-bit"), table.rows().len())?;
    }
    for format in registry.formats() {
        writeln!(out, "\n{}: {}", format.name(), format.description())?;
    }
    for arch in registry.archs() {
        writeln!(out, "{}: {}", arch.info().name(), arch.info().description())?;
    }
    Ok(())
}
