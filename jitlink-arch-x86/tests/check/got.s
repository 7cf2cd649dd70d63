# Loads from the GOT: relaxed where the target is in the link, through a slot where it is not.
# jitlink-check-link: --define external=0x7f1234567890

        .text
        .globl  load
load:   movq    function@GOTPCREL(%rip), %rdi
# jitlink-check: u8(.) == 0x48 && u8(. + 1) == 0x8d && u8(. + 2) == 0x3d
# jitlink-check: i32(. + 3) == function - (. + 7)
load32: movl    function@GOTPCREL(%rip), %ecx
# jitlink-check: u16be(.) == 0x8d0d && i32(. + 2) == function - (. + 6)
call:   call    *function@GOTPCREL(%rip)
# jitlink-check: u16be(.) == 0x67e8 && i32(. + 2) == function - (. + 6)
jump:   jmp     *function@GOTPCREL(%rip)
# jitlink-check: u8(.) == 0xe9 && i32(. + 1) == function - (. + 5) && u8(. + 5) == 0x90
# jitlink-check: !exists(got(function))

# Instructions that have no form without a slot, and the relocation that does not say where its instruction starts.
compare:
        cmpq    kept@GOTPCREL(%rip), %rax
# jitlink-check: i32(. + 3) == got(kept) - (. + 7)
plain:  movq    0(%rip), %rax
        .reloc  plain + 3, R_X86_64_GOTPCREL, kept - 4
# jitlink-check: u8(. + 1) == 0x8b && i32(. + 3) == got(kept) - (. + 7)
# jitlink-check: u64(got(kept)) == kept

# A target elsewhere keeps its slot, near or far, and the slot is shared.
outside:
        movq    external@GOTPCREL(%rip), %rax
# jitlink-check: u8(. + 1) == 0x8b && i32(. + 3) == got(external) - (. + 7)
        .globl  indirect
indirect:
        call    *external@GOTPCREL(%rip)
# jitlink-check: u16be(.) == 0xff15 && i32(. + 2) == got(external) - (. + 6)
# jitlink-check: u64(got(external)) == external && got(external) % 8 == 0
        .balign 16
function:
        ret
kept:   ret
