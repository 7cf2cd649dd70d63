# R_X86_64_32 beyond what the signed form holds.

        .data
word:   .long   target + 5

# jitlink-check-link: --define target=0xfffffffa
# jitlink-check: u32(word) == 0xffffffff
# jitlink-check-link: --define target=0xfffffffb
# jitlink-check-error: R_X86_64_32 against target
# jitlink-check-link: --define target=0xfffffffffffffffa
# jitlink-check-error: R_X86_64_32 against target
