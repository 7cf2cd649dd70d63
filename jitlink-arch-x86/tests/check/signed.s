# R_X86_64_32S below zero.

        .data
word:   .long   0
        .reloc  word, R_X86_64_32S, target + 5

# jitlink-check-link: --define target=0xffffffff7ffffffb
# jitlink-check: i32(word) == -0x80000000
# jitlink-check-link: --define target=0xffffffff7ffffffa
# jitlink-check-error: R_X86_64_32S against target
