# A short reference to data out of reach: the instruction moves out of line, where a full-width form does its work.
# jitlink-check-link: --define external=0x7f1234567890

        .text
        .globl  load
load:   movl    external(%rip), %eax
        .globl  after
after:  ret
# jitlink-check: u8(load) == 0xe9
# jitlink-check: load + 5 + i32(load + 1) >= section_end(.text in outline.o)
# jitlink-check: !exists(stub(external))
