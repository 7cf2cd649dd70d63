//! What an access string means in the program's own types.

use super::{CoreKind, CoreProblem};
use crate::btf::{Btf, Kind, Type, TypeId};

/// The most steps that an access may have (`BPF_CORE_SPEC_MAX_LEN` of libbpf).
pub(super) const MOST_STEPS: usize = 64;

/// One step of an access that means something: a named member, an element of an array, a value of an enumeration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'a> {
    /// The type that has the member or value; the type of the elements of an array.
    pub(super) ty: TypeId,
    /// Which member, element or value.
    pub(super) index: u32,
    /// Its name; elements have none.
    pub(super) name: Option<&'a str>,
}

/// An access: where it starts and leads to.
#[derive(Clone, Debug)]
pub(super) struct Spec<'a> {
    pub(super) btf: &'a Btf,
    pub(super) root: TypeId,
    pub(super) steps: Vec<Step<'a>>,
    /// Where it leads to, in bits from the start.
    pub(super) bit_offset: u64,
}

impl<'a> Spec<'a> {
    pub(super) fn new(btf: &'a Btf, root: TypeId) -> Spec<'a> {
        Spec { btf, root, steps: Vec::new(), bit_offset: 0 }
    }

    /// Follows an access string through the types of the program.
    pub(super) fn parse(btf: &'a Btf, root: TypeId, kind: CoreKind, access: &str) -> Result<Spec<'a>, CoreProblem> {
        let wrong = |what| CoreProblem::Access { access: access.chars().take(200).collect(), what };
        let mut spec = Spec::new(btf, root);
        if !kind.is_field() && !kind.is_enumerator() {
            return if access == "0" { Ok(spec) } else { Err(wrong("a type as a whole is '0'")) };
        }
        let numbers = numbers(access).map_err(wrong)?;
        let start = btf.resolve(root)?;
        if kind.is_enumerator() {
            let value = start.enumerator(numbers[0] as usize).filter(|_| numbers.len() == 1);
            let value = value.ok_or_else(|| wrong("no such value of an enumeration"))?;
            spec.steps.push(Step { ty: start.id(), index: numbers[0], name: Some(value.name) });
            return Ok(spec);
        }
        spec.enter_element(start.id(), numbers[0])?;
        let mut ty = start;
        for index in &numbers[1..] {
            ty = spec.enter(&ty, *index).map_err(|what| what.unwrap_or_else(wrong))?;
        }
        Ok(spec)
    }

    /// Takes one number of an access string, which counts members that have no name too.
    fn enter(&mut self, ty: &Type<'a>, index: u32) -> Result<Type<'a>, Problem> {
        if let Some(array) = ty.array() {
            let element = self.btf.resolve(array.element).map_err(CoreProblem::from)?;
            if index >= array.count && !self.ends_with_flexible(array.count) {
                return Err(Problem::Access("an element past the end of an array"));
            }
            self.enter_element(element.id(), index)?;
            return Ok(element);
        }
        if !ty.kind().is_composite() {
            return Err(Problem::Access("a member of a type without members"));
        }
        let member = ty.member(index as usize).ok_or(Problem::Access("no such member"))?;
        self.bit_offset = self.bit_offset.wrapping_add(u64::from(member.bit_offset));
        if !member.name.is_empty() {
            self.steps.push(Step { ty: ty.id(), index, name: Some(member.name) });
        }
        Ok(self.btf.resolve(member.ty).map_err(CoreProblem::from)?)
    }

    /// Adds a step to an element of `ty`; the first step of every access is one.
    pub(super) fn enter_element(&mut self, ty: TypeId, index: u32) -> Result<(), CoreProblem> {
        self.steps.push(Step { ty, index, name: None });
        // At most 64 steps of less than 2^67 bits cannot be right, but must not overflow.
        let bits = u64::from(index).wrapping_mul(u64::from(self.btf.size_of(ty)?)).wrapping_mul(8);
        self.bit_offset = self.bit_offset.wrapping_add(bits);
        Ok(())
    }

    /// Whether the access has just come to an array without a length at the end of a struct, which has any element.
    pub(super) fn ends_with_flexible(&self, count: u32) -> bool {
        let Some(Step { ty, index, name: Some(_) }) = self.steps.last() else { return false };
        let members = self.btf.ty(*ty).map_or(0, |ty| ty.len());
        count == 0 && *index as usize + 1 == members
    }

    /// The access as C writes it, after the name of the type.
    pub(super) fn describe(&self) -> String {
        let root = self.btf.ty(self.root);
        let (name, kind) = root.map_or(("", Kind::Void), |ty| (ty.name(), ty.kind()));
        let mut text = match kind {
            Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 => format!("{} ", keyword(kind)),
            _ => String::new(),
        };
        text += if name.is_empty() { "(anonymous)" } else { name };
        for (number, step) in self.steps.iter().enumerate() {
            match step.name {
                Some(name) if kind.is_enum() => text += &format!("::{name}"),
                Some(name) => text += &format!(".{name}"),
                None if number > 0 || step.index > 0 => text += &format!("[{}]", step.index),
                None => {}
            }
        }
        text
    }
}

/// The word that C has before names of this kind.
fn keyword(kind: Kind) -> &'static str {
    match kind {
        Kind::Union => "union",
        Kind::Enum | Kind::Enum64 => "enum",
        _ => "struct",
    }
}

/// Why a step fails: the access string, or the types.
enum Problem {
    Access(&'static str),
    Other(CoreProblem),
}

impl Problem {
    fn unwrap_or_else(self, access: impl Fn(&'static str) -> CoreProblem) -> CoreProblem {
        match self {
            Problem::Access(what) => access(what),
            Problem::Other(problem) => problem,
        }
    }
}

impl From<CoreProblem> for Problem {
    fn from(problem: CoreProblem) -> Problem {
        Problem::Other(problem)
    }
}

/// The numbers of an access string, of which there is at least one.
fn numbers(access: &str) -> Result<Vec<u32>, &'static str> {
    let mut numbers = Vec::new();
    for part in access.split(':') {
        if numbers.len() == MOST_STEPS {
            return Err("more than 64 numbers");
        }
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let number = part.parse::<u32>().ok().filter(|number| digits && *number <= i32::MAX as u32);
        numbers.push(number.ok_or("not numbers with colons between them")?);
    }
    Ok(numbers)
}
