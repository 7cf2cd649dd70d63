/* Calls through two objects, under a debugger. */
#include <stdio.h>

struct pair {
    int left;
    int right;
};

int combine(const struct pair *pair, int factor);

static __attribute__((noinline)) int twice(int value) {
    int doubled = value * 2;
    return doubled;
}

/* Nothing needs this. */
__attribute__((noinline)) int unused_here(int value) {
    return value * 1234567;
}

int main(int argc, char **argv) {
    struct pair pair = {argc + 2, twice(argc)};
    int sum = combine(&pair, 10);
    (void)argv;
    printf("sum %d\n", sum);
    return 0;
}
