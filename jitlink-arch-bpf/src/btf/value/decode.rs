//! Bytes to values.

use super::{Value, ValueError};
use crate::btf::{Btf, BtfError, Int, Kind, Member, Type, TypeId};
use jitlink_core::Endian;

/// The most parts that a value may have.
const MOST_PARTS: usize = 1 << 20;

pub(super) struct Decoder<'a> {
    btf: &'a Btf,
    endian: Endian,
    left: usize,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(btf: &'a Btf, endian: Endian) -> Decoder<'a> {
        Decoder { btf, endian, left: MOST_PARTS }
    }

    /// A value at the start of `bytes`. What it calls for its parts is at most as deep as types are nested, which the
    /// reader limits.
    pub(super) fn whole(&mut self, id: TypeId, bytes: &[u8]) -> Result<Value<'a>, ValueError> {
        self.left = self.left.checked_sub(1).ok_or(ValueError::TooMany { limit: MOST_PARTS })?;
        let ty = self.btf.resolve(id)?;
        if ty.kind() == Kind::Var {
            return self.whole(ty.target().unwrap_or_default(), bytes);
        }
        let size = self.btf.size_of(ty.id())? as usize;
        let own = bytes.get(..size).ok_or(ValueError::Short { needed: size, available: bytes.len() })?;
        match ty.kind() {
            Kind::Int => Ok(ty.int().map_or(Value::Bytes(own.to_vec()), |int| self.int(&int, own))),
            Kind::Enum | Kind::Enum64 => Ok(self.enumerator(&ty, self.word(own), own.len() * 8)),
            Kind::Ptr => Ok(Value::Pointer(self.word(own) as u64)),
            Kind::Float => Ok(self.float(own)),
            Kind::Struct | Kind::Union => self.composite(&ty, own),
            Kind::Array => self.array(&ty, own),
            Kind::Datasec => self.section(&ty, own),
            kind => Err(BtfError::NoSize { id: ty.id(), kind }.into()),
        }
    }

    /// The number in at most 16 bytes.
    fn word(&self, bytes: &[u8]) -> u128 {
        let number = |number: u128, byte: &u8| number << 8 | u128::from(*byte);
        match self.endian {
            Endian::Little => bytes.iter().rev().fold(0, number),
            Endian::Big => bytes.iter().fold(0, number),
        }
    }

    fn int(&self, int: &Int, bytes: &[u8]) -> Value<'a> {
        match usize::from(int.bits) == bytes.len() * 8 {
            true => number(int, self.word(bytes), usize::from(int.bits)),
            false => {
                number(int, self.bits(bytes, usize::from(int.offset), usize::from(int.bits)), usize::from(int.bits))
            }
        }
    }

    /// The number of a bit-field.
    fn bits(&self, bytes: &[u8], offset: usize, count: usize) -> u128 {
        let bit = |at: usize| match self.endian {
            Endian::Little => bytes.get(at / 8).map_or(0, |byte| byte >> (at % 8) & 1),
            Endian::Big => bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1),
        };
        let append = |number: u128, at: usize| number << 1 | u128::from(bit(at));
        let range = offset..offset + count.min(128);
        match self.endian {
            Endian::Little => range.rev().fold(0, append),
            Endian::Big => range.fold(0, append),
        }
    }

    fn enumerator(&self, ty: &Type<'a>, word: u128, bits: usize) -> Value<'a> {
        let value = if ty.flag() { extend(word, bits) } else { word as i128 };
        let known = ty.enumerators().find(|item| {
            let own = if ty.flag() { i128::from(item.value as i64) } else { i128::from(item.value) };
            own == value
        });
        match known {
            Some(item) => Value::Enumerator { name: item.name, value },
            None if ty.flag() => Value::Signed(value),
            None => Value::Unsigned(word),
        }
    }

    fn float(&self, bytes: &[u8]) -> Value<'a> {
        match bytes.len() {
            4 => Value::Float(f64::from(f32::from_bits(self.word(bytes) as u32))),
            8 => Value::Float(f64::from_bits(self.word(bytes) as u64)),
            _ => Value::Bytes(bytes.to_vec()),
        }
    }

    fn composite(&mut self, ty: &Type<'a>, bytes: &[u8]) -> Result<Value<'a>, ValueError> {
        let mut fields = Vec::new();
        for member in ty.members() {
            let value = self.member(&member, bytes)?;
            match value {
                Value::Struct(inner) if member.name.is_empty() => fields.extend(inner),
                // Bits without a name are padding.
                _ if member.name.is_empty() => {}
                value => fields.push((member.name, value)),
            }
        }
        Ok(Value::Struct(fields))
    }

    fn member(&mut self, member: &Member<'a>, bytes: &[u8]) -> Result<Value<'a>, ValueError> {
        let offset = member.bit_offset as usize;
        let Some(bits) = member.bits.map(usize::from) else {
            let rest = bytes.get(offset / 8..).unwrap_or_default();
            return self.whole(member.ty, rest);
        };
        self.left = self.left.checked_sub(1).ok_or(ValueError::TooMany { limit: MOST_PARTS })?;
        let (ty, word) = (self.btf.resolve(member.ty)?, self.bits(bytes, offset, bits));
        Ok(match ty.int() {
            Some(int) => number(&int, word, bits),
            None if ty.kind().is_enum() => self.enumerator(&ty, word, bits),
            None => Value::Unsigned(word),
        })
    }

    fn array(&mut self, ty: &Type<'a>, bytes: &[u8]) -> Result<Value<'a>, ValueError> {
        let Some(array) = ty.array() else { return Ok(Value::List(Vec::new())) };
        let element = self.btf.resolve(array.element)?;
        if is_char(&element)
            && let Some(text) = text(bytes)
        {
            return Ok(Value::Text(text));
        }
        let size = self.btf.size_of(element.id())? as usize;
        let mut elements = Vec::new();
        for index in 0..array.count as usize {
            let rest = bytes.get(index * size..).unwrap_or_default();
            elements.push(self.whole(element.id(), rest)?);
        }
        Ok(Value::List(elements))
    }

    fn section(&mut self, ty: &Type<'a>, bytes: &[u8]) -> Result<Value<'a>, ValueError> {
        let mut fields = Vec::new();
        for var in ty.section_vars() {
            let name = self.btf.ty(var.ty).map_or("", |ty| ty.name());
            let rest = bytes.get(var.offset as usize..).unwrap_or_default();
            fields.push((name, self.whole(var.ty, rest)?));
        }
        Ok(Value::Struct(fields))
    }
}

fn number<'a>(int: &Int, word: u128, bits: usize) -> Value<'a> {
    if int.is_bool() {
        return Value::Bool(word != 0);
    }
    if int.is_signed() { Value::Signed(extend(word, bits)) } else { Value::Unsigned(word) }
}

/// A number whose highest of `bits` bits is its sign.
fn extend(word: u128, bits: usize) -> i128 {
    let unused = 128 - bits.clamp(1, 128) as u32;
    (word << unused) as i128 >> unused
}

/// clang calls `char` by its name only, other compilers say so in the encoding.
fn is_char(ty: &Type<'_>) -> bool {
    ty.int().is_some_and(|int| int.size == 1 && (int.is_char() || ty.name() == "char"))
}

/// The text in an array of characters up to its first zero, if it is one.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    let plain = |letter: char| !letter.is_control() || matches!(letter, '\t' | '\n' | '\r');
    text.chars().all(plain).then(|| text.to_owned())
}
