# One beyond the limits of relative.s, on both sides.

        .data
place:  .quad   0, 0, 0, 0
        .reloc  place, R_X86_64_PC32, place + 0x80000000
        .reloc  place + 4, R_X86_64_PC16, place + 4 + 0x10000
        .reloc  place + 6, R_X86_64_PC8, place + 6 + 0x80
        .reloc  place + 8, R_X86_64_PC32, place + 8 - 0x80000001
        .reloc  place + 12, R_X86_64_PC16, place + 12 - 0x8001
        .reloc  place + 14, R_X86_64_PC8, place + 14 - 0x81

# jitlink-check-error[out-of-range]: R_X86_64_PC32 against place: 0x80000000 outside [-0x80000000, 0x7fffffff]
# jitlink-check-error[out-of-range]: R_X86_64_PC16 against place: 0x10000 outside [-0x8000, 0xffff]
# jitlink-check-error[out-of-range]: R_X86_64_PC8 against place: 0x80 outside [-0x80, 0x7f]
# jitlink-check-error[out-of-range]: R_X86_64_PC32 against place: -0x80000001 outside
# jitlink-check-error[out-of-range]: R_X86_64_PC16 against place: -0x8001 outside
# jitlink-check-error[out-of-range]: R_X86_64_PC8 against place: -0x81 outside
