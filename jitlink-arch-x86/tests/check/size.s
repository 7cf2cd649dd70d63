# Sizes of symbols: Z + A.

        .data
        .globl  table
        .type   table, @object
        .size   table, 40
table:  .skip   40
# jitlink-check: size(table) == 40

size32: .long   table@SIZE + 2
# jitlink-check: u32(.) == size(table) + 2
size64: .quad   table@SIZE
# jitlink-check: u64(.) == size(table)
