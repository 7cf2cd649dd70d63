// A crash in a function with a name.
#include <stdio.h>

__attribute__((noinline)) void store(int *place, int value) { place[16] = value; }

int main(int argc, char **argv) {
    puts("before");
    fflush(stdout);
    store((int *)(long long)(argc - 1), argc);
    return 0;
}
