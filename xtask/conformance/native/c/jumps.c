// Control flow that is no plain call: computed jumps, tables of jumps, tail calls, long jumps, memory of a frame.
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int interpret(const unsigned char *code) {
    static const void *const labels[] = {&&stop, &&add, &&multiply, &&negate, &&jump};
    int value = 1;
    goto *labels[*code++];
add: value += *code++; goto *labels[*code++];
multiply: value *= *code++; goto *labels[*code++];
negate: value = -value; goto *labels[*code++];
jump: code += *code; goto *labels[*code++];
stop: return value;
}

int relative(int which) {
    static const int offsets[] = {0, &&second - &&first, &&third - &&first};
    goto *(&&first + offsets[which]);
first: return 10;
second: return 20;
third: return 30;
}

int dense(int value, int other) {
    switch (value) {
    case 0: return other + 1;
    case 1: return other * 2;
    case 2: return other - 3;
    case 3: return other / 4;
    case 4: return other << 5;
    case 5: return ~other;
    case 6: return other % 7;
    case 7: return other | 64;
    case 100000: return 8;
    default: return value < 0 ? -1 : 9;
    }
}

static int even(unsigned value);
static int odd(unsigned value) { return value == 0 ? 0 : even(value - 1); }
static int even(unsigned value) { return value == 0 ? 1 : odd(value - 1); }

static jmp_buf place;
static sigjmp_buf signal_place;
__attribute__((noinline)) static void dive(int depth) {
    volatile char space[64];
    space[depth % 64] = (char)depth;
    if (depth == 0) longjmp(place, 7);
    dive(depth - 1);
    printf("never seen %d\n", space[0]);
}
static void handler(int number) { siglongjmp(signal_place, number); }

int main(int argc, char **argv) {
    static const unsigned char code[] = {1, 5, 2, 7, 4, 2, 3, 3, 1, 2, 0};
    printf("%d %d %d %d\n", interpret(code), relative(0), relative(1), relative(2));
    for (int value = -1; value < 9; value++) printf("%d ", dense(value, 100 + argc));
    printf("%d %d %d\n", dense(100000, 0), even(1000), odd(1001));
    volatile int tries = 0;
    int result = setjmp(place);
    tries++;
    if (result == 0) dive(20);
    printf("%d after %d tries\n", result, tries);
    signal(SIGUSR1, handler);
    int number = sigsetjmp(signal_place, 1);
    if (number == 0) raise(SIGUSR1);
    printf("signal %s\n", number == SIGUSR1 ? "came" : "lost");
    int sum = 0;
    for (int size = 1; size < 2000; size += 333) {
        char *memory = __builtin_alloca((size_t)size), array[size];
        memset(memory, 3, (size_t)size);
        memset(array, 4, (size_t)size);
        sum += memory[size - 1] + array[size / 2];
    }
    printf("%d %d\n", sum, argv[argc] == NULL);
    return sum;
}
