// A DLL whose functions have numbers, and names that are not those in programs.
#include <stdio.h>

int number(int value) { return 7 * value; }
int inside(int value) { return value + 100; }
int variable = 41;

__attribute__((constructor)) static void start(void) {
    puts("loaded");
    fflush(stdout);
}
