// A function that calls itself until there is no stack left: on the main thread, or on one of the program's own.
#include <process.h>
#include <stdio.h>
#include <windows.h>

static volatile int depth;

__attribute__((noinline)) int dive(int level) {
    volatile char room[256];
    room[level & 255] = (char)level;
    depth = level;
    return dive(level + 1) + room[level & 255];
}

static unsigned __stdcall run(void *unused) {
    (void)unused;
    return (unsigned)dive(0);
}

int main(int argc, char **argv) {
    (void)argv;
    puts("before");
    fflush(stdout);
    if (argc == 1) {
        return dive(0);
    }
    HANDLE thread = (HANDLE)_beginthreadex(NULL, 0, run, NULL, 0, NULL);
    WaitForSingleObject(thread, INFINITE);
    return 0;
}
