# Fields relative to their place: S + A - P.

        .data
word64: .quad   other - .
# jitlink-check: i64(.) == other - .
word32: .long   other - .
# jitlink-check: i32(.) == other - .
back:   .long   word64 - .
# jitlink-check: i32(.) == word64 - . && i32(.) < 0
word16: .short  other - .
# jitlink-check: i16(.) == other - .
word8:  .byte   other - .
# jitlink-check: i8(.) == other - .
        .section .data.other, "aw"
other:  .quad   0

# The limits, on their inner side.
        .data
        .balign 16
largest:
        .quad   0, 0
        .reloc  largest, R_X86_64_PC32, largest + 0x7fffffff
        .reloc  largest + 4, R_X86_64_PC16, largest + 4 + 0xffff
        .reloc  largest + 6, R_X86_64_PC8, largest + 6 + 0x7f
        .reloc  largest + 8, R_X86_64_PC64, largest + 8 + 0x7fffffffffffffff
# jitlink-check: i32(.) == 0x7fffffff && u16(. + 4) == 0xffff && i8(. + 6) == 0x7f
# jitlink-check: i64(. + 8) == 0x7fff_ffff_ffff_ffff
smallest:
        .quad   0
        .reloc  smallest, R_X86_64_PC32, smallest - 0x80000000
        .reloc  smallest + 4, R_X86_64_PC16, smallest + 4 - 0x8000
        .reloc  smallest + 6, R_X86_64_PC8, smallest + 6 - 0x80
# jitlink-check: i32(.) == -0x80000000 && i16(. + 4) == -0x8000 && i8(. + 6) == -0x80
