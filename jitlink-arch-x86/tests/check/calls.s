# R_X86_64_PLT32: direct where the target is in reach, through a stub where it is not.

        .text
        .globl  direct
direct: call    function
# An assembler may settle a jump inside the section by itself.
again:  .byte   0xe9
        .reloc  ., R_X86_64_PLT32, function - 4
        .long   0
outside:
        call    external
        jmp     external
        .balign 16
function:
        ret

# In reach: no stub.
# jitlink-check-link: --define external=0x20000000
# jitlink-check: u8(direct) == 0xe8 && i32(direct + 1) == function - (direct + 5)
# jitlink-check: u8(again) == 0xe9 && i32(again + 1) == function - (again + 5)
# jitlink-check: !exists(stub(function))
# jitlink-check: i32(outside + 1) == external - (outside + 5)
# jitlink-check: !exists(stub(external))

# Out of reach: one stub for both, jmp *slot(%rip), near the code.
# jitlink-check-link: --define external=0x7f1234567890
# jitlink-check: i32(outside + 1) == stub(external) - (outside + 5)
# jitlink-check: i32(outside + 6) == stub(external, plt) - (outside + 10)
# jitlink-check: u16be(stub(external)) == 0xff25
# jitlink-check: u64(stub(external) + 6 + i32(stub(external) + 2)) == external
# jitlink-check: stub(external) % 8 == 0 && stub(external) >= section_end(.text)
