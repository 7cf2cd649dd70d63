//! Types as C writes them.
//!
//! C reads a declaration from the name outwards, BTF stores it from the outside in: `int (*f)(long)` is a pointer to a
//! prototype with result `int`. So the declarator grows around the name while the types are followed, and what is left
//! is the type in front.
//!
//! Types may refer to themselves through pointers to structs without a name, so what is written is bounded: `…` stands
//! for the rest.

use super::{Btf, Enumerator, Kind, Linkage, Member, Type, TypeId};
use std::fmt::Write as _;

/// How many types one text may name.
const MOST_TYPES: usize = 20_000;
/// How much of a name is written.
const LONGEST_NAME: usize = 256;
/// How deep prototypes and structs without a name may be nested in a text.
const DEEPEST: usize = 16;

impl Btf {
    /// A type without a name of a variable, such as `const struct sk_buff *`.
    pub fn c_type(&self, id: TypeId) -> String {
        self.c_declaration(id, "")
    }

    /// A declaration of `name` with a type, such as `int (*name)(const char *, ...)`.
    pub fn c_declaration(&self, id: TypeId, name: &str) -> String {
        Printer::new(self).declaration(id, &clean(name), 0)
    }

    /// What a type with a name is: the members of a struct with their offsets, the values of an enumeration, what a
    /// typedef, function or variable is declared as, the variables of a section.
    pub fn c_definition(&self, id: TypeId) -> String {
        let Some(ty) = self.ty(id) else { return format!("(no type {id})") };
        let name = clean(ty.name());
        let mut printer = Printer::new(self);
        let target = ty.target().unwrap_or_default();
        match ty.kind() {
            Kind::Struct | Kind::Union => format!("{};", printer.body(&ty, 0, true)),
            Kind::Enum | Kind::Enum64 => format!("{};", printer.values(&ty)),
            Kind::Fwd => format!("{};", printer.declaration(id, "", 0)),
            Kind::Typedef => format!("typedef {};", printer.declaration(target, &name, 0)),
            Kind::Func | Kind::Var => {
                let storage = match ty.linkage() {
                    Some(Linkage::Static) => "static ",
                    Some(Linkage::Extern) => "extern ",
                    _ => "",
                };
                format!("{storage}{};", printer.declaration(target, &name, 0))
            }
            Kind::Datasec => printer.section(&ty),
            Kind::DeclTag => {
                let component = ty.component().map_or(String::new(), |number| format!(" (part {number})"));
                format!("btf_decl_tag(\"{name}\") on {}{component}", printer.declaration(target, "", 0))
            }
            _ => printer.declaration(id, "", 0),
        }
    }
}

/// The beginning of a name, without characters that would do something to a terminal.
fn clean(name: &str) -> String {
    name.chars().take(LONGEST_NAME).map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

struct Printer<'a> {
    btf: &'a Btf,
    left: usize,
}

impl<'a> Printer<'a> {
    fn new(btf: &'a Btf) -> Printer<'a> {
        Printer { btf, left: MOST_TYPES }
    }

    fn declaration(&mut self, id: TypeId, name: &str, depth: usize) -> String {
        let mut declarator = Declarator { text: name.to_owned(), qualifiers: String::new(), pointer: false };
        let mut id = id;
        loop {
            let Some(ty) = self.btf.ty(id).filter(|_| self.left > 0 && depth <= DEEPEST) else {
                return declarator.finish("…");
            };
            self.left -= 1;
            let target = ty.target().unwrap_or_default();
            id = match ty.kind() {
                Kind::Const => declarator.qualify("const ", target),
                Kind::Volatile => declarator.qualify("volatile ", target),
                Kind::Restrict => declarator.qualify("restrict ", target),
                Kind::TypeTag => {
                    declarator.qualify(&format!("__attribute__((btf_type_tag(\"{}\"))) ", clean(ty.name())), target)
                }
                Kind::Ptr => declarator.point(target),
                Kind::Array => {
                    let (element, count) = ty.array().map_or((TypeId::VOID, 0), |array| (array.element, array.count));
                    declarator.suffix(&if count == 0 { "[]".to_owned() } else { format!("[{count}]") });
                    element
                }
                Kind::FuncProto => {
                    let params = self.params(&ty, depth);
                    declarator.suffix(&format!("({params})"));
                    target
                }
                _ => return declarator.finish(&self.base(&ty, depth)),
            };
        }
    }

    fn base(&mut self, ty: &Type<'a>, depth: usize) -> String {
        let name = clean(ty.name());
        match ty.kind() {
            Kind::Void => "void".to_owned(),
            Kind::Struct | Kind::Union if name.is_empty() => self.body(ty, depth + 1, false),
            Kind::Enum | Kind::Enum64 if name.is_empty() => self.values(ty),
            Kind::Struct => format!("struct {name}"),
            Kind::Union => format!("union {name}"),
            Kind::Fwd => format!("{} {name}", if ty.flag() { "union" } else { "struct" }),
            Kind::Enum | Kind::Enum64 => format!("enum {name}"),
            _ => name,
        }
    }

    fn params(&mut self, ty: &Type<'a>, depth: usize) -> String {
        let mut params = Vec::new();
        for param in ty.params() {
            params.push(match (param.ty, param.name) {
                (TypeId::VOID, "") => "...".to_owned(),
                (id, name) => self.declaration(id, &clean(name), depth + 1),
            });
            if self.left == 0 {
                break;
            }
        }
        if params.is_empty() { "void".to_owned() } else { params.join(", ") }
    }

    /// A struct or union with its members; with offsets where it is asked for itself.
    fn body(&mut self, ty: &Type<'a>, depth: usize, offsets: bool) -> String {
        let keyword = if ty.kind() == Kind::Union { "union" } else { "struct" };
        let mut text = keyword.to_owned();
        if !ty.name().is_empty() {
            text += &format!(" {}", clean(ty.name()));
        }
        text += " {";
        let indent = "    ".repeat(depth.min(DEEPEST) + usize::from(offsets));
        for member in ty.members() {
            if self.left == 0 || depth > DEEPEST {
                text += " …";
                break;
            }
            self.left -= 1;
            let (declaration, bits) = self.member(&member, depth);
            match offsets {
                true => _ = write!(text, "\n{indent}{declaration}{bits}; /* {} */", place(&member)),
                false => _ = write!(text, " {declaration}{bits};"),
            }
        }
        text += if offsets { "\n" } else { " " };
        text += "}";
        if offsets {
            _ = write!(text, " /* {} bytes */", ty.size().unwrap_or_default());
        }
        text
    }

    fn member(&mut self, member: &Member<'a>, depth: usize) -> (String, String) {
        let bits = member.bits.map_or(String::new(), |bits| format!(" : {bits}"));
        (self.declaration(member.ty, &clean(member.name), depth), bits)
    }

    fn values(&mut self, ty: &Type<'a>) -> String {
        let name = clean(ty.name());
        let mut text = if name.is_empty() { "enum".to_owned() } else { format!("enum {name}") };
        let value = |value: &Enumerator<'_>| match ty.flag() {
            true => (value.value as i64).to_string(),
            false => value.value.to_string(),
        };
        let shown = ty.len().min(self.left);
        self.left -= shown;
        let values: Vec<String> =
            ty.enumerators().take(shown).map(|item| format!("{} = {}", clean(item.name), value(&item))).collect();
        let rest = if shown < ty.len() { ", …" } else { "" };
        _ = write!(text, " {{ {}{rest} }}", values.join(", "));
        text
    }

    fn section(&mut self, ty: &Type<'a>) -> String {
        let mut text = format!("section {} {{", clean(ty.name()));
        for var in ty.section_vars() {
            let declared = self.btf.ty(var.ty).map_or(String::new(), |ty| clean(ty.name()));
            let target = self.btf.ty(var.ty).and_then(|ty| ty.target()).unwrap_or_default();
            let declaration = self.declaration(target, &declared, 0);
            _ = write!(text, "\n    {declaration}; /* {}, {} bytes */", var.offset, var.size);
            if self.left == 0 {
                break;
            }
        }
        text + &format!("\n}}; /* {} bytes */", ty.size().unwrap_or_default())
    }
}

fn place(member: &Member<'_>) -> String {
    match (member.bits, member.bit_offset % 8) {
        (None, 0) => (member.bit_offset / 8).to_string(),
        (_, bit) => format!("{} bit {bit}", member.bit_offset / 8),
    }
}

/// What stands around the name: pointers before it, arrays and parameters after it.
struct Declarator {
    text: String,
    /// Qualifiers of the type that comes next.
    qualifiers: String,
    /// Whether the last thing that was added is a pointer, which binds less than what comes after the name.
    pointer: bool,
}

impl Declarator {
    fn qualify(&mut self, word: &str, next: TypeId) -> TypeId {
        if !self.qualifiers.contains(word) {
            self.qualifiers.push_str(word);
        }
        next
    }

    fn point(&mut self, next: TypeId) -> TypeId {
        let qualifiers = std::mem::take(&mut self.qualifiers);
        let qualifiers = if self.text.is_empty() { qualifiers.trim_end() } else { &qualifiers };
        self.text = format!("*{qualifiers}{}", self.text);
        self.pointer = true;
        next
    }

    fn suffix(&mut self, suffix: &str) {
        if std::mem::take(&mut self.pointer) {
            self.text = format!("({})", self.text);
        }
        self.text.push_str(suffix);
    }

    fn finish(self, base: &str) -> String {
        let space = if self.text.is_empty() || self.text.starts_with('[') { "" } else { " " };
        format!("{}{base}{space}{}", self.qualifiers, self.text)
    }
}
