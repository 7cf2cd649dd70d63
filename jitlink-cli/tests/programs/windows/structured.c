// Structured exception handling, an initialiser and a thread-local variable in Microsoft's spelling; declares what it uses itself.
int printf(const char *, ...);
int puts(const char *);
double sqrt(double);
__declspec(dllimport) void __stdcall RaiseException(unsigned, unsigned, unsigned, void *);

__declspec(thread) int variable = 3;

static int filter(unsigned code) {
    printf("filter %x\n", code);
    return 1;
}

__attribute__((noinline)) static void fault(void) { *(volatile int *)0 = 1; }

// More than a page of variables, for which the stack is probed.
__attribute__((noinline)) static int deep(volatile int *zero) {
    char large[20000];
    large[*zero + 19000] = 1;
    __try {
        fault();
    } __finally {
        puts("finally");
    }
    return large[*zero + 19000];
}

static int initialise(void) {
    puts("initialiser");
    return 0;
}
#pragma section(".CRT$XIU", read)
__declspec(allocate(".CRT$XIU")) int (*const initialiser)(void) = initialise;

int main(int argc, char **argv) {
    volatile int zero = 0;
    printf("%d %.3f\n", variable, sqrt(argc + 1.0));
    variable++;
    __try {
        deep(&zero);
    } __except (filter(_exception_code())) {
        puts("handled");
    }
    __try {
        RaiseException(0xe0001234, 0, 0, 0);
    } __except (filter(_exception_code())) {
        puts("handled");
    }
    printf("%d\n", variable);
    return 9;
}
