// Thread-local variables of two objects in two threads, and a callback of the system's for each.
#include <process.h>
#include <stdio.h>
#include <windows.h>

_Thread_local int first = 7;
_Thread_local char zeros[100];
static _Thread_local long long second = 42;
extern _Thread_local int other;
int *address_of_other(void);

static unsigned __stdcall run(void *nothing) {
    printf("thread %d %lld %d %d same %d\n", first, second, zeros[5], other, address_of_other() == &other);
    first = 1;
    second = zeros[5] = other = 2;
    return 0;
}

static void NTAPI callback(PVOID handle, DWORD reason, PVOID reserved) {
    static const char *const reasons[] = {"", "process starts", "thread starts", "thread ends"};
    if (reason == 0) return;
    printf("%s %d\n", reasons[reason], first);
    fflush(stdout);
}
__attribute__((section(".CRT$XLM"), used)) PIMAGE_TLS_CALLBACK registered = callback;

int main(void) {
    first = 100;
    printf("main %d %lld %d %d\n", first, second, zeros[5], other);
    for (int count = 0; count < 2; count++) {
        HANDLE thread = (HANDLE)_beginthreadex(0, 0, run, 0, 0, 0);
        WaitForSingleObject(thread, INFINITE);
        CloseHandle(thread);
    }
    printf("main %d %lld %d %d\n", first, second, zeros[5], other);
    return 0;
}
