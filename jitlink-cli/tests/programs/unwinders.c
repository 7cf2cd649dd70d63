/* Backtraces by unwinders that a program brings along, beside the one that its compiler throws with: -DNONGNU for the libunwind of nongnu.org,
   else LLVM's. Their functions are declared here, because the headers of the two cannot be installed side by side. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef NONGNU
int _Ux86_64_getcontext(void *);
int _ULx86_64_init_local(void *, void *);
int _ULx86_64_step(void *);
int _ULx86_64_get_reg(void *, int, uint64_t *);
#define unw_getcontext _Ux86_64_getcontext
#define unw_init_local _ULx86_64_init_local
#define unw_step _ULx86_64_step
#define unw_get_reg _ULx86_64_get_reg
#define INSTRUCTION_POINTER 16
#else
int unw_getcontext(void *);
int unw_init_local(void *, void *);
int unw_step(void *);
int unw_get_reg(void *, int, uint64_t *);
#define INSTRUCTION_POINTER -1
#endif

#define NOINLINE __attribute__((noinline))

/* More than either takes. */
static _Alignas(16) uint64_t context[512], cursor[512];

static uint64_t frames[64];
static int count;

NOINLINE static int innermost(int value) {
    count = 0;
    unw_getcontext(context);
    unw_init_local(cursor, context);
    do unw_get_reg(cursor, INSTRUCTION_POINTER, &frames[count++]);
    while (count < 64 && unw_step(cursor) > 0);
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

int main(void);

/* The function that a frame is of: the one that begins last before it; none is longer than this. */
static const char *name(uint64_t frame) {
    static const struct {
        const char *name;
        int (*function)();
    } functions[] = {{"innermost", (int (*)())innermost},
                     {"compare", (int (*)())compare},
                     {"outer", (int (*)())outer},
                     {"main", (int (*)())main}};
    const char *best = "a library";
    uint64_t distance = 512;
    for (int i = 0; i < 4; i++) {
        uint64_t offset = frame - (uintptr_t)functions[i].function;
        if (offset < distance) best = functions[i].name, distance = offset;
    }
    return best;
}

int main(void) {
    int values[2] = {7, 3};
    printf("%d\n", outer(values));
    for (int i = 0; i < count; i++) {
        printf("in %s\n", name(frames[i]));
        /* How main is called differs. */
        if (name(frames[i])[0] == 'm') return 0;
    }
    printf("main was not reached\n");
    return 1;
}
