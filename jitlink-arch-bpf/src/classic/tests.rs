use super::*;
use crate::insn::decode;
use jitlink_core::Endian;

/// What `tcpdump -ddd 'ip and tcp dst port 80'` prints.
const PORT_80: &str = "\
12
40 0 0 12
21 0 9 2048
48 0 0 23
21 0 7 6
40 0 0 20
69 5 0 8191
177 0 0 14
72 0 0 16
21 0 2 80
6 0 0 262144
5 0 0 0
6 0 0 0
";

fn filter(code: u16, jt: u8, jf: u8, k: u32) -> Filter {
    Filter { code, jt, jf, k }
}

const RETURN: Filter = Filter { code: 6, jt: 0, jf: 0, k: 1 };

fn shown(program: &[Filter], kind: FilterKind) -> Vec<String> {
    let words = translate(program, kind).unwrap();
    let (mut at, mut lines) = (0, Vec::new());
    while at < words.len() {
        let op = decode(&words, at).unwrap();
        lines.push(op.to_string());
        at += op.words();
    }
    lines
}

#[test]
fn all_spellings_mean_the_same_program() {
    let program = from_text(PORT_80).unwrap();
    assert_eq!((program.len(), program[1]), (12, filter(21, 0, 9, 2048)));
    assert_eq!(from_text(&PORT_80.trim().replace('\n', ",")).unwrap(), program);
    let array: String =
        program.iter().map(|f| format!("{{ {:#x}, {}, {}, {:#010x} }},\n", f.code, f.jt, f.jf, f.k)).collect();
    assert_eq!(from_text(&array).unwrap(), program);
    for endian in [Endian::Little, Endian::Big] {
        let mut bytes = vec![0; 8 * program.len()];
        for (filter, word) in program.iter().zip(bytes.chunks_mut(8)) {
            endian.write(&mut word[..2], filter.code.into());
            (word[2], word[3]) = (filter.jt, filter.jf);
            endian.write(&mut word[4..], filter.k.into());
        }
        assert_eq!(from_bytes(&bytes, endian).unwrap(), program);
    }
}

#[test]
fn wrong_spellings_are_refused_with_their_place() {
    let refusal = |text: &str| from_text(text).unwrap_err().to_string();
    assert_eq!(refusal(""), "there is no program");
    assert_eq!(refusal("tcp port 80"), "line 1: \"tcp port 80\" is no count of instructions");
    assert_eq!(refusal("2\n6 0 0 0\n"), "line 1: the count says 2 instructions, but there are 1");
    assert_eq!(refusal("1\n6 0 0\n"), "line 2: \"6 0 0\" is not the four numbers of an instruction: code jt jf k");
    assert_eq!(refusal("1\n6 0 256 0\n"), "line 2: jf is 256, and at most 255");
    assert_eq!(refusal("1\n6 0 0 4294967296\n"), "line 2: \"4294967296\" is no number of 32 bits");
    assert_eq!(refusal("{ 6, 0, 0, 1 }, { 6, 0"), "line 1: a brace is not closed");
    assert!(from_bytes(&[0; 9], Endian::Little).unwrap_err().to_string().contains("0x9 bytes"));
    assert!(from_bytes(&[], Endian::Little).is_err());
    assert!(from_bytes(&[0; 8 * (MAX_INSTRUCTIONS + 1)], Endian::Little).is_err());
}

#[test]
fn rules_hold_on_both_sides_of_their_limits() {
    let with = |filter| check(&[filter, RETURN], FilterKind::Socket);
    let refusal = |filter| with(filter).unwrap_err().to_string();
    // Constants.
    assert!(with(filter(0x34, 0, 0, 1)).is_ok());
    assert!(refusal(filter(0x34, 0, 0, 0)).contains("divides by the constant 0"));
    assert!(with(filter(0x64, 0, 0, 31)).is_ok());
    assert!(refusal(filter(0x64, 0, 0, 32)).contains("shifts 32 bits by 32"));
    assert!(with(filter(0x02, 0, 0, 15)).is_ok());
    assert!(refusal(filter(0x02, 0, 0, 16)).contains("16 words of memory"));
    // Jumps: the last place to go is the last instruction.
    assert!(with(filter(0x05, 0, 0, 0)).is_ok());
    assert!(refusal(filter(0x05, 0, 0, 1)).contains("jumps over 1 of the 1"));
    assert!(refusal(filter(0x05, 0, 0, u32::MAX)).contains("jumps over"));
    assert!(with(filter(0x15, 0, 0, 7)).is_ok());
    assert!(refusal(filter(0x15, 1, 0, 7)).contains("jumps over 1"));
    assert!(refusal(filter(0x15, 0, 1, 7)).contains("jumps over 1"));
    // What the kernel knows of a packet.
    assert!(with(filter(0x20, 0, 0, 0xffff_f03c)).is_ok());
    assert!(refusal(filter(0x20, 0, 0, 0xffff_f040)).contains("nothing is known as 0x40"));
    assert!(with(filter(0x20, 0, 0, 0xffff_efff)).is_ok());
    // Codes, sizes and the end.
    assert!(refusal(filter(0x0e, 0, 0, 0)).contains("no instruction with this code"));
    assert!(check(&[filter(0x20, 0, 0, 0)], FilterKind::Socket).unwrap_err().to_string().contains("must return"));
    assert!(check(&[], FilterKind::Socket).is_err());
    assert!(check(&vec![RETURN; MAX_INSTRUCTIONS], FilterKind::Socket).is_ok());
    assert!(check(&vec![RETURN; MAX_INSTRUCTIONS + 1], FilterKind::Socket).is_err());
}

#[test]
fn memory_is_written_on_every_path_before_it_is_read() {
    let (store, load) = (filter(0x02, 0, 0, 3), filter(0x60, 0, 0, 3));
    let good = |program: &[Filter]| check(program, FilterKind::Socket).is_ok();
    assert!(good(&[store, load, RETURN]));
    assert!(!good(&[load, RETURN]));
    // The store is jumped over where the test holds.
    assert!(!good(&[filter(0x15, 1, 0, 0), store, load, RETURN]));
    // Both ways store.
    assert!(good(&[filter(0x15, 2, 0, 0), store, filter(0x05, 0, 0, 1), store, load, RETURN]));
    // What follows a jump is reached from elsewhere only.
    assert!(!good(&[filter(0x15, 1, 0, 0), filter(0x05, 0, 0, 1), store, load, RETURN]));
}

#[test]
fn seccomp_reads_aligned_words_of_its_data_alone() {
    let with = |filter| check(&[filter, RETURN], FilterKind::Seccomp);
    assert!(with(filter(0x20, 0, 0, 60)).is_ok());
    assert!(with(filter(0x20, 0, 0, 64)).is_err());
    assert!(with(filter(0x20, 0, 0, 2)).is_err());
    assert!(with(filter(0x28, 0, 0, 0)).is_err());
    assert!(with(filter(0x20, 0, 0, 0xffff_f024)).is_err());
    assert!(with(filter(0x9c, 0, 0, 0)).is_err());
    assert_eq!(
        shown(&[filter(0x20, 0, 0, 4), filter(0x81, 0, 0, 0), RETURN], FilterKind::Seccomp),
        ["r6 = r1", "w0 = 0x0", "w7 = 0x0", "w0 = *(u32 *)(r6 + 0x4)", "w7 = 0x40", "w0 = 0x1", "exit"]
    );
}

#[test]
fn a_translation_reads_as_its_original() {
    let lines = shown(&from_text(PORT_80).unwrap(), FilterKind::Socket);
    assert_eq!(
        lines[3..],
        [
            "r0 = *(u16 *)skb[0xc]",
            "if w0 == 0x800 goto +0x1",
            "goto +0x12",
            "r0 = *(u8 *)skb[0x17]",
            "if w0 == 0x6 goto +0x1",
            "goto +0xf",
            "r0 = *(u16 *)skb[0x14]",
            "if w0 & 0x1fff goto +0xd",
            "w7 = w0",
            "r0 = *(u8 *)skb[0xe]",
            "w0 &= 0xf",
            "w0 <<= 0x2",
            "w2 = w7",
            "w7 = w0",
            "w0 = w2",
            "r0 = *(u16 *)skb[r7 + 0x10]",
            "if w0 == 0x50 goto +0x1",
            "goto +0x3",
            "w0 = 0x40000",
            "exit",
            "goto +0x0",
            "w0 = 0x0",
            "exit",
        ]
    );
}

#[test]
fn a_division_by_an_index_of_zero_ends_the_program() {
    let lines = shown(&[filter(0x3c, 0, 0, 0), RETURN], FilterKind::Socket);
    assert_eq!(lines[3..7], ["if w7 != 0x0 goto +0x2", "w0 = 0x0", "exit", "w0 /= w7"]);
}

#[test]
fn the_longest_jump_of_the_longest_program_reaches() {
    // The size of a header takes most instructions.
    let mut program = vec![filter(0x05, 0, 0, MAX_INSTRUCTIONS as u32 - 2)];
    program.resize(MAX_INSTRUCTIONS - 1, filter(0xb1, 0, 0, 14));
    program.push(RETURN);
    let words = translate(&program, FilterKind::Socket).unwrap();
    assert_eq!(decode(&words, 3).unwrap().to_string(), format!("goto +{:#x}", 7 * (MAX_INSTRUCTIONS - 2)));
    assert_eq!(decode(&words, words.len() - 1).unwrap().to_string(), "exit");
}

#[test]
fn what_cannot_be_known_here_is_refused_by_name() {
    let refusal = |k| translate(&[filter(0x20, 0, 0, k), RETURN], FilterKind::Socket).unwrap_err().to_string();
    assert!(refusal(0xffff_f00c).contains("netlink"));
    assert!(refusal(0xffff_f034).contains("payload"));
    let mark = shown(&[filter(0x20, 0, 0, 0xffff_f014), RETURN], FilterKind::Socket);
    assert_eq!(mark[3], "w0 = *(u32 *)(r6 + 0x8)");
    let protocol = shown(&[filter(0x28, 0, 0, 0xffff_f000), RETURN], FilterKind::Socket);
    assert_eq!(protocol[3..5], ["w0 = *(u32 *)(r6 + 0x10)", "r0 = be16 r0"]);
}
