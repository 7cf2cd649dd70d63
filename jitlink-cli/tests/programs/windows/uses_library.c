// A function and a variable of a DLL, with and without being told that they are.
#include <stdio.h>

extern int value;
__declspec(dllimport) int twice(int);
int undeclared(int) __asm__("twice");
int *place = &value;

int main(void) {
    value++;
    printf("%d %d %d %d\n", value, twice(4), undeclared(5), *place);
    return 0;
}
