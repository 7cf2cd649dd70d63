use super::*;

/// Every word that decodes encodes to itself, over all opcodes and a grid of the other fields.
#[test]
fn what_decodes_encodes_to_the_same_words() {
    let (mut decoded, mut refused) = (0, 0);
    let second = Insn { imm: 0x1234_5678, ..Insn::default() };
    for code in 0..=255 {
        for (dst, src) in [(0, 0), (1, 0), (0, 1), (9, 2), (10, 0), (3, 10), (11, 0), (0, 15)] {
            for off in [0, 1, -1, 8, 16, 32, i16::MIN, i16::MAX] {
                for imm in [0, 1, -1, 16, 32, 64, 0x41, 0xe1, 0xf1, 0x100, 0x110, 1 << 16, i32::MIN, i32::MAX] {
                    let words = [Insn { code, dst, src, off, imm }, second];
                    match decode(&words, 0) {
                        Ok(op) => {
                            let mut again = Vec::new();
                            encode(&op, &mut again);
                            assert_eq!(again, &words[..op.words()], "{op:?}");
                            decoded += 1;
                        }
                        Err(error) => {
                            assert_eq!((error.index, error.word), (0, words[0]));
                            refused += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(decoded > 3_000 && refused > 100_000, "{decoded} decoded, {refused} refused");
}

#[test]
fn registers_change_places_with_the_byte_order() {
    let word = Insn { code: 0x7b, dst: 10, src: 1, off: -8, imm: 0x0102_0304 };
    assert_eq!(word.write(Endian::Little), [0x7b, 0x1a, 0xf8, 0xff, 4, 3, 2, 1]);
    assert_eq!(word.write(Endian::Big), [0x7b, 0xa1, 0xff, 0xf8, 1, 2, 3, 4]);
    for endian in [Endian::Little, Endian::Big] {
        assert_eq!(Insn::read(word.write(endian), endian), word);
    }
}

#[test]
fn bytes_that_are_no_words_are_refused() {
    assert_eq!(words(&[0x95, 0, 0, 0, 0, 0, 0], Endian::Little), None);
    let exit = words(&[0x95, 0, 0, 0, 0, 0, 0, 0], Endian::Little).unwrap();
    assert_eq!(decode(&exit, 0), Ok(Op::Exit));
    assert!(decode(&exit, 1).unwrap_err().what.contains("ends here"));
    let wide = [Insn { code: 0x18, ..Insn::default() }];
    assert!(decode(&wide, 0).unwrap_err().what.contains("ends within"));
}

#[test]
fn refusals_say_why() {
    let refusal = |word: Insn| decode(&[word], 0).unwrap_err().to_string();
    let word = |code| Insn { code, ..Insn::default() };
    assert_eq!(
        refusal(Insn { dst: 10, ..word(0xb7) }),
        "instruction 0 (opcode 0xb7): the frame pointer r10 cannot be written"
    );
    assert!(refusal(Insn { src: 11, ..word(0xbf) }).contains("no register r11"));
    assert!(refusal(Insn { imm: 0, ..word(0x37) }).contains("divides by the constant 0"));
    assert!(refusal(Insn { imm: 32, ..word(0x64) }).contains("shifts 32 bits by 32"));
    assert!(refusal(Insn { imm: 24, ..word(0xd4) }).contains("24 bits"));
    assert!(refusal(Insn { off: 3, ..word(0x95) }).contains("unused offset is 3"));
    assert!(refusal(Insn { imm: 2, ..word(0xdb) }).contains("no atomic operation 0x2"));
}
