// Arguments and results of every kind: variable ones, long double, complex, structures, 128 bits, vectors.
#include <complex.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct small { int one; float two; };
struct pair { double one, two; };
struct large { long values[5]; char name[8]; };
typedef float vector __attribute__((vector_size(16)));

static double mixed(int count, ...) {
    va_list arguments, again;
    va_start(arguments, count);
    va_copy(again, arguments);
    double sum = 0;
    for (int at = 0; at < count; at++) {
        sum += va_arg(arguments, int);
        sum += (double)va_arg(arguments, long double);
        sum += va_arg(arguments, double);
        struct small small = va_arg(arguments, struct small);
        struct large large = va_arg(arguments, struct large);
        sum += small.one + (double)small.two + (double)large.values[4] + large.name[0];
    }
    sum += va_arg(again, int);
    va_end(again);
    va_end(arguments);
    return sum;
}

static int print(char *out, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(out, size, format, arguments);
    va_end(arguments);
    return written;
}

struct large make(struct small small, struct pair pair, long double wide, int last);
vector turn(vector value);
double _Complex rotate(double _Complex value);
static int compare(const void *left, const void *right) { return *(const int *)left - *(const int *)right; }

int main(int argc, char **argv) {
    (void)argv;
    struct small small = {3, 1.5f};
    struct large large = make(small, (struct pair){2.5, -1}, 1e4000L / 1e3990L, argc);
    printf("%ld %ld %ld %ld %ld %s\n", large.values[0], large.values[1], large.values[2], large.values[3], large.values[4], large.name);
    printf("%.6f\n", mixed(2, 1, 2.5L, 3.25, small, large, 5, 1e10L, -4.0, small, large));
    char text[200];
    int written = print(text, sizeof text, "%s %5.2f %Lg %c %lld %zu %#x %a %*d", "text", 3.14159, 1.0L / 3, 'x', -5LL, (size_t)9, 255, 0.5, 6, 42);
    printf("%d %s\n", written, text);
    long double wide = strtold("1.189731495357231765e+4932", NULL);
    printf("%Lg %.18Lf %La %Lf %d\n", wide, sqrtl(2), 1.0L / 7, fmodl(1e18L + 0.5L, 7), (int)(wide > 1e308L));
    printf("%.15Lg %.15Lg %Lg\n", sinl(1), expl(10), powl(2, 100));
    double _Complex product = (1.5 + 2 * I) * (argc - 3.25 * I), quotient = product / (2 + I * argc);
    long double _Complex root = csqrtl(-2 + 0 * I);
    printf("%.6f %.6f %.6f %.6f %.6Lf %.6Lf\n", creal(product), cimag(product), creal(quotient), cimag(quotient), creall(root), cimagl(root));
    printf("%.6f %.6f %.6f\n", cabs(cexp(I * 3)), carg(rotate(1)), creal(cpow(2 + I, 3 - I)));
#ifdef __SIZEOF_INT128__
    unsigned __int128 big = (unsigned __int128)UINT64_MAX * (uint64_t)(argc + 12345), divided = big / 1000000007u;
    __int128 negative = -(__int128)big / 77 % 1000003;
    printf("%llu %llu %lld\n", (unsigned long long)(divided >> 64), (unsigned long long)divided, (long long)negative);
    printf("%.3f %.3f %llu\n", (double)big, (double)negative, (unsigned long long)(unsigned __int128)1.5e25);
#endif
    vector value = turn((vector){1, 2, 3, 4} * (float)argc);
    printf("%g %g %g %g\n", (double)value[0], (double)value[1], (double)value[2], (double)value[3]);
    int numbers[200];
    srand(5);
    for (int at = 0; at < 200; at++) numbers[at] = (at * 7919) % 1009;
    qsort(numbers, 200, sizeof *numbers, compare);
    int wanted = numbers[77];
    printf("%d %d %d\n", numbers[0], numbers[199], (int)((int *)bsearch(&wanted, numbers, 200, sizeof *numbers, compare) - numbers));
    printf("%d %d %d %d\n", __builtin_popcountll(0xff00ff00ffULL + (unsigned)argc), __builtin_clz((unsigned)argc), __builtin_ctzll(1ULL << 40), __builtin_parity(7u));
    int overflow;
    printf("%d %d\n", __builtin_mul_overflow(argc << 20, 1 << 20, &overflow), memcmp(text, "text", 4));
    return 77;
}
