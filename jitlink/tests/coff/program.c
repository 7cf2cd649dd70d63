// Freestanding code of many shapes, for the test that calls it: nothing of it needs a library.
typedef unsigned long long u64;
typedef long long i64;

extern int host_add(int, int);
__declspec(dllimport) int host_twice(int);
__declspec(dllimport) extern int host_value;
extern int host_data;

static int counter = 3;
static int zeroed[64];
int common_counter;
const char *const names[] = {"north", "east", "south", "west"};
int (*const table[])(int, int) = {host_add, 0};

__attribute__((weak)) int weak_default(int x) { return x + 1; }
extern int weak_missing(int) __attribute__((weak));

__declspec(noinline) i64 many(i64 a, i64 b, i64 c, i64 d, i64 e, i64 f, i64 g) {
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g;
}

i64 seven(i64 a, i64 b, i64 c, i64 d, i64 e, i64 f, i64 g) { return many(g, f, e, d, c, b, a); }

double mixed(int a, double b, int c, double d) { return a * b + c * d + 0.25; }

int choose(int x) {
    switch (x) {
    case 0: return host_add(1, 2);
    case 1: return host_twice(21);
    case 2: return host_data;
    case 3: return host_value;
    case 4: return counter++;
    case 5: return names[x & 3][0];
    case 6: return weak_default(6);
    case 7: return weak_missing ? weak_missing(7) : -7;
    case 8: return table[0](40, 2);
    case 9: return ++common_counter;
    case 10: zeroed[5] += 2; return zeroed[5];
    default: return -1;
    }
}

struct pair { u64 first, second; };
struct wide { u64 words[4]; };

struct wide widen(struct pair p, u64 by) {
    struct wide result = {{p.first, p.second, by, p.first * by + p.second}};
    return result;
}

u64 checksum(const unsigned char *bytes, u64 size) {
    u64 hash = 0xcbf29ce484222325ull;
    for (u64 i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3ull;
    return hash;
}

int sort(int *values, int count) {
    int swaps = 0;
    for (int i = 0; i < count; i++)
        for (int j = 0; j + 1 < count - i; j++)
            if (values[j] > values[j + 1]) {
                int t = values[j];
                values[j] = values[j + 1], values[j + 1] = t;
                swaps++;
            }
    return swaps;
}

// More than a page of frame: the stack is probed.
int deep(int n) {
    volatile char frame[20000];
    frame[n % 20000] = (char)n;
    return frame[n % 20000] + (n > 0 ? deep(n - 1) : 0);
}

// The compilers' probe of large frames, which a library has: touches each page below the stack pointer, and keeps all registers.
#if defined(_WIN64) && defined(__x86_64__)
__asm__(".globl ___chkstk_ms\n.globl __chkstk\n___chkstk_ms:\n__chkstk:\n"
        "push %rcx\npush %rax\ncmp $4096, %rax\nlea 24(%rsp), %rcx\njb 2f\n"
        "1: sub $4096, %rcx\ntest %rcx, (%rcx)\nsub $4096, %rax\ncmp $4096, %rax\nja 1b\n"
        "2: sub %rax, %rcx\ntest %rcx, (%rcx)\npop %rax\npop %rcx\nret\n");
#endif
int _fltused = 0;
