/* Backtraces through linked functions, by the C library and by the unwinder, and through a function of the C library in between. */
#include <execinfo.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unwind.h>

#define NOINLINE __attribute__((noinline))

struct frames {
    int count;
    void *at[64];
};

static struct frames by_library, by_unwinder;

static _Unwind_Reason_Code note(struct _Unwind_Context *context, void *argument) {
    struct frames *frames = argument;
    if (frames->count < 64) frames->at[frames->count++] = (void *)_Unwind_GetIP(context);
    return _URC_NO_REASON;
}

NOINLINE static int innermost(int value) {
    by_library.count = backtrace(by_library.at, 64);
    by_unwinder.count = 0;
    _Unwind_Backtrace(note, &by_unwinder);
    return value + 1;
}

NOINLINE static int compare(const void *left, const void *right) {
    volatile int sum = innermost(*(const int *)left);
    return sum - 1 - *(const int *)right;
}

NOINLINE static int outer(int *values) {
    qsort(values, 2, sizeof *values, compare);
    return values[0];
}

/* Whether a frame is of the function at this address, none of which is longer than this. */
static int is_of(const void *frame, const void *function) {
    return (uintptr_t)frame - (uintptr_t)function < 256;
}

int main(void);

static void show(const char *who, const struct frames *frames) {
    const void *const functions[] = {(void *)innermost, (void *)compare, (void *)outer, (void *)main};
    int found = 0;
    for (int i = 0; i < frames->count && found < 4; i++)
        if (is_of(frames->at[i], functions[found])) found++;
    printf("%s: %d of 4 functions, %s behind them\n", who, found, frames->count > 6 ? "others" : "none");
}

int main(void) {
    int values[2] = {7, 3};
    printf("%d\n", outer(values));
    show("backtrace", &by_library);
    show("_Unwind_Backtrace", &by_unwinder);
    return 0;
}
