# Absolute fields: S + A, with the limits of each on both sides.

        .data
word64: .quad   target + 5
word32: .long   target + 5
signed: .long   0
        .reloc  signed, R_X86_64_32S, target + 5
word16: .short  small + 5
word8:  .byte   tiny + 5
        .balign 8
local:  .quad   word16

# jitlink-check-link: --define target=0x12345678 --define small=0x1234 --define tiny=0x12
# jitlink-check: u64(word64) == target + 5
# jitlink-check: u32(word32) == target + 5
# jitlink-check: i32(signed) == target + 5
# jitlink-check: u16(word16) == small + 5
# jitlink-check: u8(word8) == tiny + 5
# jitlink-check: u64(local) == word16

# The largest values. R_X86_64_32S is signed, R_X86_64_32 is not; the narrow ones take either.
# jitlink-check-link: --define target=0x7ffffffa --define small=0xfffa --define tiny=0xfa
# jitlink-check: u32(word32) == 0x7fffffff && i32(signed) == 0x7fffffff
# jitlink-check: u16(word16) == 0xffff && u8(word8) == 0xff
# jitlink-check-link: --define target=0x7ffffffb --define small=0x1234 --define tiny=0x12
# jitlink-check-error: R_X86_64_32S against target
# jitlink-check-link: --define target=0x100 --define small=0xfffb --define tiny=0xfb
# jitlink-check-error: R_X86_64_16 against small
# jitlink-check-error: R_X86_64_8 against tiny

# The smallest values, as addresses at the end of memory.
# jitlink-check-link: --define target=0 --define small=0xffffffffffff7ffb --define tiny=0xffffffffffffff7b
# jitlink-check: i16(word16) == -0x8000 && i8(word8) == -0x80
# jitlink-check-link: --define target=0 --define small=0xffffffffffff7ffa --define tiny=0xffffffffffffff7a
# jitlink-check-error: R_X86_64_16 against small
# jitlink-check-error: R_X86_64_8 against tiny
# jitlink-check-link: --define target=0xffffffff80000000 --define small=0 --define tiny=0
# jitlink-check-error: R_X86_64_32 against target
