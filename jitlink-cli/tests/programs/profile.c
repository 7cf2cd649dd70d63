/* A program that spends its time in one function. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static volatile unsigned long sink;

__attribute__((noinline)) void hot_function(unsigned long rounds) {
    for (unsigned long i = 0; i < rounds; i++) {
        sink += i * i;
    }
}

__attribute__((noinline)) void hot_caller(unsigned long rounds) {
    hot_function(rounds);
    sink++;
}

int main(int argc, char **argv) {
    printf("%d %p\n", (int)getpid(), (void *)hot_function);
    hot_caller(argc > 1 ? strtoul(argv[1], NULL, 10) : 1);
    return 0;
}
