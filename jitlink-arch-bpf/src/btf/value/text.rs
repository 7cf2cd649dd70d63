//! Values as text: `{pid: 7, comm: "init", state: RUNNING}`.

use super::Value;
use std::fmt;

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Signed(number) => write!(f, "{number}"),
            Value::Unsigned(number) => write!(f, "{number}"),
            Value::Bool(yes) => write!(f, "{yes}"),
            Value::Float(number) => write!(f, "{number}"),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Pointer(address) => write!(f, "{address:#x}"),
            Value::Enumerator { name, .. } => f.write_str(name),
            Value::Struct(fields) => {
                f.write_str("{")?;
                for (number, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}{name}: {value}", if number > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
            Value::List(elements) => {
                f.write_str("[")?;
                for (number, value) in elements.iter().enumerate() {
                    write!(f, "{}{value}", if number > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Value::Bytes(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}
