//! Keys and values of maps, as their types say.

use jitlink::bpf::btf::{Btf, TypeId, value::Value};
use jitlink::core::Endian;
use serde_json::json;

/// A key or a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// Something without parts: what people read, and what tools do.
    Plain(String, serde_json::Value),
    /// The named parts of a struct.
    Fields(Vec<(String, Cell)>),
    /// The elements of an array.
    List(Vec<Cell>),
}

/// The bytes as a value of their type; hexadecimal where the type is not known or does not fit.
pub(super) fn cell(types: Option<&Btf>, id: TypeId, bytes: &[u8], endian: Endian) -> Cell {
    let value = types.filter(|_| id != TypeId(0)).and_then(|types| types.value(id, bytes, endian).ok());
    match value {
        Some(value) => from(&value),
        None => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> Cell {
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Cell::Plain(text.clone(), json!(text))
}

fn from(value: &Value<'_>) -> Cell {
    match value {
        // Numbers that JSON's readers may not hold are text there.
        Value::Signed(number) => Cell::Plain(
            number.to_string(),
            i64::try_from(*number).map_or_else(|_| json!(number.to_string()), |number| json!(number)),
        ),
        Value::Unsigned(number) => Cell::Plain(
            number.to_string(),
            u64::try_from(*number).map_or_else(|_| json!(number.to_string()), |number| json!(number)),
        ),
        Value::Bool(truth) => Cell::Plain(truth.to_string(), json!(truth)),
        Value::Float(number) => Cell::Plain(number.to_string(), json!(number)),
        Value::Text(text) => Cell::Plain(format!("{text:?}"), json!(text)),
        Value::Pointer(address) => Cell::Plain(format!("{address:#x}"), json!(format!("{address:#x}"))),
        Value::Enumerator { name, .. } => Cell::Plain(name.to_string(), json!(name)),
        Value::Struct(fields) => {
            Cell::Fields(fields.iter().map(|(name, value)| (name.to_string(), from(value))).collect())
        }
        Value::List(elements) => Cell::List(elements.iter().map(from).collect()),
        Value::Bytes(bytes) => hex(bytes),
    }
}

impl Cell {
    /// The columns of a table: one for each part of a struct, one called `name` for anything else.
    pub(super) fn columns(&self, name: &str) -> Vec<(String, String)> {
        match self {
            Cell::Fields(fields) => fields.iter().map(|(name, cell)| (name.clone(), cell.text())).collect(),
            other => vec![(name.into(), other.text())],
        }
    }

    /// In one line.
    fn text(&self) -> String {
        match self {
            Cell::Plain(text, _) => text.clone(),
            Cell::Fields(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|(name, cell)| format!("{name}: {}", cell.text())).collect();
                format!("{{{}}}", fields.join(", "))
            }
            Cell::List(cells) => format!("[{}]", cells.iter().map(Cell::text).collect::<Vec<_>>().join(", ")),
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Cell::Plain(_, value) => value.clone(),
            Cell::Fields(fields) => fields.iter().map(|(name, cell)| (name.clone(), cell.to_json())).collect(),
            Cell::List(cells) => cells.iter().map(Cell::to_json).collect(),
        }
    }
}
