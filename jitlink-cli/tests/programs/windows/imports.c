// What an import library says of a DLL: numbers, other names, variables; or nothing of it.
#include <stdio.h>

__declspec(dllimport) int numbered(int);
int renamed(int);
__declspec(dllimport) extern int variable;

int main(void) {
#ifdef UNUSED
    puts("nothing");
#else
    printf("%d %d %d\n", numbered(6), renamed(1), ++variable);
#endif
    return 0;
}
