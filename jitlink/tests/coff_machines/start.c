// What calls the functions of program.c, and ends the process with the number of the first that is wrong.
#include "../coff/program.c"

#if defined(__aarch64__)
static void leave(int status) {
    register long number __asm__("x8") = 93;
    register long value __asm__("x0") = status;
    __asm__ volatile("svc #0" : : "r"(number), "r"(value));
}
#else
static void leave(int status) { __asm__ volatile("int $0x80" : : "a"(1), "b"(status)); }
#endif

static int same(struct wide found, u64 a, u64 b, u64 c, u64 d) {
    return found.words[0] == a && found.words[1] == b && found.words[2] == c && found.words[3] == d;
}

static int check(void) {
    static const int chosen[] = {3, 42, 77, 1234, 3, 'e', 7, -7, 42, 1, 2, -1};
    static const int sorted[] = {-1, 0, 2, 3, 5, 9};
    static const unsigned char text[] = "jitlink";
    int values[] = {5, -1, 3, 2, 9, 0};
    if (seven(1, 2, 3, 4, 5, 6, 7) != 84) return 1;
    if (mixed(3, 1.5, -2, 0.5) != 3.75) return 2;
    for (int i = 0; i < 12; i++)
        if (choose(i) != chosen[i]) return 10 + i;
    if (choose(4) != 4 || choose(9) != 2 || choose(10) != 4) return 3;
    if (!same(widen((struct pair){5, 6}, 7), 5, 6, 7, 41)) return 4;
    if (checksum(text, 7) != 0x70cda82a85c01328ull) return 5;
    if (sort(values, 6) != 8) return 6;
    for (int i = 0; i < 6; i++)
        if (values[i] != sorted[i]) return 30 + i;
    if (deep(10) != 55) return 7;
    return 0;
}

void begin(void) { leave(check()); }
