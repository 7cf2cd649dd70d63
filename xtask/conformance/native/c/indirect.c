// Indirect functions, by resolvers of the program and of the compiler.
#include <stdio.h>

static int resolved;
static int fast(int value) { return value * 3; }
static int slow(int value) { return value + value + value; }
static int (*choose(void))(int) { resolved = 1; return sizeof(void *) == 8 ? fast : slow; }
int triple(int value) __attribute__((ifunc("choose")));
static int (*pick(void))(int) { return slow; }
static int local(int value) __attribute__((ifunc("pick")));

#if defined(__x86_64__)
#define CLONES __attribute__((target_clones("avx2", "sse4.2", "default")))
#elif defined(__powerpc64__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("cpu=power9", "default")))
#else
#define CLONES
#endif

CLONES long sum(const int *values, int count) {
    long result = 0;
    for (int at = 0; at < count; at++) result += values[at] * (long)at;
    return result;
}

int (*const table[])(int) = {triple, local};
int elsewhere(int value);
int (*address(void))(int);

int main(void) {
    int values[1000];
    for (int at = 0; at < 1000; at++) values[at] = at * 7 % 31;
    printf("%d %d %ld %d\n", triple(5), local(7), sum(values, 1000), elsewhere(9));
    printf("%d %d %d\n", table[0](1), table[1](2), address()(3));
    return triple(3);
}
