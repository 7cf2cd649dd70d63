//! What kind of program a function is, and what it will be attached to.

use super::LoadOptions;
use super::names::KernelNames;
use crate::btf::Kind;
use crate::catalog::programs::{AttachType, ProgramSection, ProgramType, classify};
use crate::image::Function;
use crate::kernel::error::KernelError;

/// `BPF_F_SLEEPABLE` and `BPF_F_XDP_HAS_FRAGS`.
const SLEEPABLE: u32 = 1 << 4;
const HAS_FRAGS: u32 = 1 << 5;

/// How the kernel is told what a program is.
pub(super) struct Attachment {
    pub(super) kind: u32,
    pub(super) attach: u32,
    pub(super) flags: u32,
    /// The number of the kernel's type that it attaches to.
    pub(super) target: Option<u32>,
}

/// What the section of a program says of it.
pub(super) fn attachment(
    function: &Function,
    options: &LoadOptions<'_>,
    names: &KernelNames<'_>,
) -> Result<Attachment, KernelError> {
    let number = |attach: Option<AttachType>| attach.map_or(0, |attach| attach.0);
    let Some(section) = classify(&function.section) else {
        let Some((kind, attach)) = options.kind else {
            let what = format!("its section {:?} says no kind of program; say which", function.section);
            return Err(KernelError::image(&function.name, what));
        };
        return Ok(Attachment { kind: kind.number(), attach: number(attach), flags: 0, target: None });
    };
    let rule = section.rule;
    let flags = if section.sleepable { SLEEPABLE } else { 0 } | if rule.frags() { HAS_FRAGS } else { 0 };
    let target = target(function, &section, names)?;
    Ok(Attachment { kind: rule.program.number(), attach: number(rule.attach), flags, target })
}

/// The number of the function or type that a program attaches to.
fn target(
    function: &Function,
    section: &ProgramSection<'_>,
    names: &KernelNames<'_>,
) -> Result<Option<u32>, KernelError> {
    let wrong = |what: String| Err(KernelError::image(&function.name, what));
    match section.rule.program {
        ProgramType::Ext => {
            return wrong("it replaces a function of another program, which has to be loaded first".into());
        }
        ProgramType::StructOps => {
            return wrong("it belongs to a table of the kernel (struct_ops), which is not supported".into());
        }
        _ => {}
    }
    let Some(prefix) = section.rule.btf_prefix() else { return Ok(None) };
    let Some(target) = section.target.filter(|target| !target.is_empty()) else {
        return wrong(format!("its section {:?} does not say what it attaches to", function.section));
    };
    let kind = if section.rule.attach == Some(AttachType::TRACE_RAW_TP) { Kind::Typedef } else { Kind::Func };
    let name = format!("{prefix}{target}");
    match names.find(&name, kind)? {
        Some(id) => Ok(Some(id.0)),
        None => wrong(format!("this kernel has no {name} to attach to")),
    }
}
