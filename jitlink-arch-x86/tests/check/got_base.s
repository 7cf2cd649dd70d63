# What is relative to the base of the GOT, as the large code model uses it.

        .text
        .globl  start
start:
base:   movabsq $_GLOBAL_OFFSET_TABLE_ - ., %rax
here:   leaq    _GLOBAL_OFFSET_TABLE_(%rip), %rbx
# jitlink-check: i32(. + 3) == _GLOBAL_OFFSET_TABLE_ - (. + 7)
offset: movabsq $data@GOTOFF, %rcx
# jitlink-check: i64(. + 2) == data - _GLOBAL_OFFSET_TABLE_
slot:   movabsq $0, %rdx
        .reloc  slot + 2, R_X86_64_GOT64, data
# jitlink-check: i64(. + 2) == got(data) - _GLOBAL_OFFSET_TABLE_
call:   movabsq $function@PLTOFF, %rsi
# jitlink-check: i64(. + 2) == function - _GLOBAL_OFFSET_TABLE_
slot32: .long   0
        .reloc  slot32, R_X86_64_GOT32, data
# jitlink-check: i32(.) == got(data) - _GLOBAL_OFFSET_TABLE_
distance:
        .quad   0
        .reloc  distance, R_X86_64_GOTPCREL64, data
# jitlink-check: i64(.) == got(data) - .
older:  .quad   0
        .reloc  older, R_X86_64_GOTPLT64, data
# jitlink-check: i64(.) == got(data) - _GLOBAL_OFFSET_TABLE_
function:
        ret

# jitlink-check: i64(base + 2) + base == _GLOBAL_OFFSET_TABLE_
# jitlink-check: u64(got(data)) == data

        .data
data:   .quad   0
