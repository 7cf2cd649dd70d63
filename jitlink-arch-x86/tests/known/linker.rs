//! Other linkers, which are asked what they make of a relocation.

use super::object::{FIELD, Kind, TARGET, object};
use std::path::Path;
use std::process::Command;

/// Where `.got` starts, whose first slot is the target's, and `.got.plt`, where `_GLOBAL_OFFSET_TABLE_` is.
pub(crate) const GOT: u64 = 0x50_0000;
pub(crate) const GOT_PLT: u64 = 0x50_0800;

/// A relocation, where it stands, and where its target does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link<'a> {
    pub(crate) raw: u32,
    pub(crate) kind: Kind,
    pub(crate) addend: i64,
    pub(crate) place: u64,
    pub(crate) target: u64,
    /// The bytes of `.place`.
    pub(crate) content: &'a [u8],
    pub(crate) code: bool,
    /// Further arguments.
    pub(crate) arguments: &'a [&'a str],
}

impl Link<'_> {
    /// The bytes of `.place` in what `linker` writes, or what it says.
    pub(crate) fn with(&self, linker: &str) -> Result<Vec<u8>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a.o"), object(self.kind, self.raw, self.addend, self.content, self.code)).unwrap();
        std::fs::write(path("script"), self.script()).unwrap();
        let mut command = Command::new(linker);
        command.current_dir(folder.path()).args(["-z", "max-page-size=4096", "-T", "script", "-o", "out", "a.o"]);
        let output = command.args(self.arguments).output().unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(self.read(&path("out")))
    }

    fn script(&self) -> String {
        let (place, target) = (self.place - FIELD as u64, self.target - TARGET);
        let data = match self.kind {
            Kind::Thread => ".target 0x600000 : { *(.target) }".to_string(),
            _ => format!(".target {target:#x} : {{ *(.target) }}"),
        };
        let parts = [".dynamic", ".dynsym", ".dynstr", ".hash", ".gnu.hash", ".rela.dyn", ".rela.plt"];
        let parts = parts.iter().zip(0x510..).map(|(name, page)| format!("{name} {page:#x}000 : {{ *({name}) }}"));
        let dynamic = parts.collect::<Vec<_>>().join("\n");
        // Sections in the order of their addresses, as LLD wants them.
        let mut sections = [
            (place, format!(".place {place:#x} : {{ *(.place) }}")),
            (if self.kind == Kind::Thread { 0x60_0000 } else { target }, data),
            (0x40_8000, ".tdata 0x408000 : { *(.tdata) }".to_string()),
            (GOT, format!(".got {GOT:#x} : {{ *(.got) }}")),
            (GOT_PLT, format!(".got.plt {GOT_PLT:#x} : {{ *(.got.plt) }}")),
            (0x51_0000, dynamic),
        ];
        sections.sort();
        let sections: Vec<String> = sections.into_iter().map(|(_, text)| text).collect();
        format!("SECTIONS {{\n{}\n}}\nENTRY(target)\n", sections.join("\n"))
    }

    /// The bytes at the place's address, found through the program headers.
    fn read(&self, path: &Path) -> Vec<u8> {
        let file = std::fs::read(path).unwrap();
        let word = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
        let count = usize::from(u16::from_le_bytes([file[56], file[57]]));
        let start = self.place - FIELD as u64;
        for index in 0..count {
            let header = word(32) as usize + 56 * index;
            let (kind, offset, address, size) = (file[header], word(header + 8), word(header + 16), word(header + 32));
            if kind == 1 && address <= start && start + self.content.len() as u64 <= address + size {
                let from = (offset + start - address) as usize;
                return file[from..from + self.content.len()].to_vec();
            }
        }
        panic!("no segment holds {start:#x}");
    }
}

/// The linker, unless it is not installed; where everything has to be installed, that is an error.
pub(crate) fn installed(names: &[&'static str]) -> Option<&'static str> {
    let found = names.iter().copied().find(|name| Command::new(name).arg("--version").output().is_ok());
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "none of {names:?} is installed");
        eprintln!("skipped: none of {names:?} is installed");
    }
    found
}
