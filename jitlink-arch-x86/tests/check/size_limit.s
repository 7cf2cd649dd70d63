# A size does not fit 32 bits, or with its addend is less than nothing.

        .data
        .type   table, @object
        .size   table, 8
table:  .quad   0
large:  .long   0
        .reloc  large, R_X86_64_SIZE32, table + 0xfffffff8
negative:
        .long   0
        .reloc  negative, R_X86_64_SIZE32, table - 9

# jitlink-check-error[out-of-range]: R_X86_64_SIZE32 against table: 0x100000000 outside [0x0, 0xffffffff]
# jitlink-check-error[out-of-range]: R_X86_64_SIZE32 against table: -0x1 outside
