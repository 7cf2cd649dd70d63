# Relocations that only a dynamic linker is meant to see.

        .data
place:  .quad   0, 0, 0, 0, 0, 0
        .reloc  place, R_X86_64_COPY, place
        .reloc  place + 8, R_X86_64_GLOB_DAT, place
        .reloc  place + 16, R_X86_64_JUMP_SLOT, place
        .reloc  place + 24, R_X86_64_RELATIVE, place
        .reloc  place + 32, R_X86_64_DTPMOD64, place

# jitlink-check-error[unsupported]: R_X86_64_COPY
# jitlink-check-error[unsupported]: R_X86_64_GLOB_DAT
# jitlink-check-error[unsupported]: R_X86_64_JUMP_SLOT
# jitlink-check-error[unsupported]: R_X86_64_RELATIVE
# jitlink-check-error[unsupported]: R_X86_64_DTPMOD64
