// Functions that are chosen when the program runs, without asking about the processor: by calls from both objects, by pointers, with
// arguments in every kind of register.
#include "choices.h"
#include <errno.h>

static int resolver_runs;
static double sum_of(int a, double b, int c, int d, int e, int f, int g, int h, double i, float j, char *k, long l) {
    return a + b + c + d + e + f + g + h + i + j + k[0] + l;
}
static double (*choose_sum(void))(int, double, int, int, int, int, int, int, double, float, char *, long) {
    resolver_runs++;
    return sum_of;
}
double sum(int, double, int, int, int, int, int, int, double, float, char *, long) __attribute__((ifunc("choose_sum")));

static int twice_of(int value) { return 2 * value; }
static int (*choose_twice(void))(int) { resolver_runs++; return twice_of; }
int twice(int) __attribute__((ifunc("choose_twice")));
int (*pointer)(int) = twice;

int main(void) {
    errno = 11;
    printf("%g\n", sum(1, 2.5, 3, 4, 5, 6, 7, 8, 9.25, 0.5f, "a", 1000000));
    printf("%d %d %d %d\n", twice(4), pointer(5), (*pointer_elsewhere())(6), errno);
    printf("%g %d\n", sum_elsewhere(), thrice(3));
    printf("%s\n", resolver_runs ? "chosen" : "not chosen");
    return 4;
}
