//! CO-RE held against libbpf: what `bpftool` says it stored in each instruction when it loads the same object.

use crate::kit::*;
use jitlink_arch_bpf::btf::Btf;
use jitlink_arch_bpf::btf::ext::BtfExt;
use jitlink_arch_bpf::core_relo::{CoreKind, Outcome, Relocator, Target};
use jitlink_core::Endian;
use std::collections::{BTreeMap, BTreeSet};

/// What libbpf did with the relocation of this section and number: the new value, or nothing if it made the instruction
/// invalid.
type Decisions = BTreeMap<(String, usize), Option<i64>>;

/// Lets libbpf load an object (whether the kernel takes it or not) and reads from its messages what it did.
fn libbpf(object: &[u8]) -> Option<Decisions> {
    let folder = scratch();
    let file = folder.path().join("object.o");
    std::fs::write(&file, object).expect("an object to load");
    let pins = format!("/sys/fs/bpf/jitlink-test-{}-{}", std::process::id(), object.len());
    let output = tool(&["bpftool"], |command| command.args(["-d", "prog", "loadall"]).arg(&file).arg(&pins))?;
    let _ = std::fs::remove_dir_all(&pins);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let mut decisions = Decisions::new();
    let mut section = String::new();
    for line in text.lines() {
        if let Some((name, _)) = line.strip_prefix("libbpf: sec '").and_then(|rest| rest.split_once("': found ")) {
            section = name.to_owned();
        }
        let Some((_, rest)) = line.split_once("': relo #") else { continue };
        let Some((number, rest)) = rest.split_once(": ") else { continue };
        let Ok(number) = number.parse() else { continue };
        let value = match rest.rsplit_once(" -> ") {
            Some((_, value)) if rest.starts_with("patched") && !rest.contains("mem_sz") => {
                Some(value.parse().expect(line))
            }
            _ if rest.starts_with("substituting") => None,
            _ => continue,
        };
        decisions.entry((section.clone(), number)).or_insert(value);
    }
    if decisions.is_empty() {
        println!("skipped: bpftool may not load programs here");
        return None;
    }
    Some(decisions)
}

/// What we do with the same object; also the kinds of relocations that were in it.
fn ours(object: &[u8], target: &Target<'_>) -> (Decisions, BTreeSet<u32>) {
    let btf = btf_of(object);
    let ext = BtfExt::read(&section(object, ".BTF.ext"), &btf).unwrap();
    let mut relocator = Relocator::new(&btf, target);
    let (mut decisions, mut kinds) = (Decisions::new(), BTreeSet::new());
    for (name, info) in &ext.sections {
        let mut code = section(object, name);
        for (number, relo) in info.relos.iter().enumerate() {
            let outcome =
                relocator.apply(&mut code, Endian::Little, relo).unwrap_or_else(|error| panic!("{name}: {error}"));
            kinds.insert(relo.kind as u32);
            let value = match outcome {
                Outcome::Patched { to, .. } => Some(to as i64),
                Outcome::Poisoned { .. } => None,
            };
            decisions.insert((name.clone(), number), value);
        }
    }
    (decisions, kinds)
}

#[test]
fn every_kind_of_relocation_gives_what_libbpf_gives() {
    let source = include_str!("core/kinds.c");
    let (Some(object), Some(kernel)) = (compile("bpfel", source), kernel_bytes()) else { return };
    let kernel = Btf::read(&kernel).unwrap();
    let (decisions, kinds) = ours(&object, &Target::new(&kernel));
    assert_eq!(kinds.len(), CoreKind::ALL.len(), "{kinds:?}");
    let Some(expected) = libbpf(&object) else { return };
    assert_eq!(decisions, expected);
}

/// A source that reads random members of random structs of the kernel, which it declares with other members around
/// them.
fn random_source(kernel: &Btf, random: &mut Random) -> String {
    use jitlink_arch_bpf::btf::Kind;
    let structs: Vec<_> = kernel.types().filter(|ty| ty.kind() == Kind::Struct && !ty.name().is_empty()).collect();
    let mut source = include_str!("core/prelude.h").to_owned();
    let mut body = String::new();
    let mut seen = BTreeSet::new();
    for number in 0..120 {
        let ty = structs[random.below(structs.len())];
        if !seen.insert(ty.name()) {
            continue;
        }
        source += &format!("struct {}{} {{ ", ty.name(), if random.below(4) == 0 { "___other" } else { "" });
        let mut names = Vec::new();
        for member in ty.members().filter(|member| !member.name.is_empty()) {
            if random.below(3) != 0 {
                continue;
            }
            let resolved = kernel.resolve(member.ty).unwrap();
            let text = match (resolved.kind(), member.bits) {
                (_, Some(bits)) => format!("unsigned long long {}:{bits}; ", member.name),
                (Kind::Int, _) => {
                    format!("{} {}; ", ["unsigned", "long", "unsigned char"][random.below(3)], member.name)
                }
                (Kind::Array, _) => format!("int {}[{}]; ", member.name, 1 + random.below(6)),
                (Kind::Struct, _) => format!("struct {{ int x; }} {}; ", member.name),
                (Kind::Enum, _) => format!("enum unnamed {}; ", member.name),
                _ => format!("void *{}; ", member.name),
            };
            source += &text;
            names.push((member.name, resolved.kind(), member.bits.is_some()));
        }
        source += &format!("int not_there_{number}; }} CORE;\n");
        let other = if source.contains(&format!("struct {}___other {{", ty.name())) { "___other" } else { "" };
        for (name, kind, is_bits) in names {
            let access = format!("((struct {}{other} *)p)->{name}", ty.name());
            let element = format!("{access}{}", if kind == Kind::Array && random.below(2) == 0 { "[0]" } else { "" });
            let what = if element.ends_with("[0]") { random.below(2) } else { random.below(6) };
            // Of what is no integer, only offset, size and existence can be asked.
            let what = if is_bits || kind == Kind::Int { what } else { what.min(2) };
            body += &format!("    sink = __builtin_preserve_field_info({element}, {what});\n");
        }
    }
    source + "SEC(\"raw_tp\") int program(void *p) {\n" + &body + "    return 0;\n}\n"
}

#[test]
fn random_members_of_the_kernel_are_found_where_libbpf_finds_them() {
    let Some(kernel) = kernel_bytes() else { return };
    let kernel = Btf::read(&kernel).unwrap();
    let target = Target::new(&kernel);
    let mut random = Random(0xc0de);
    let mut compared = 0;
    for _ in 0..4 {
        let source = random_source(&kernel, &mut random);
        let Some(object) = compile("bpfel", &source) else { return };
        let (decisions, _) = ours(&object, &target);
        let Some(expected) = libbpf(&object) else { return };
        assert_eq!(decisions, expected);
        compared += expected.len();
    }
    assert!(compared > 500, "only {compared} relocations");
}
