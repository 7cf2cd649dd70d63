// Functions whose arguments fill every kind of place, each of them linked on its first call.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include "calls.h"

long integers(long a, long b, long c, long d, long e, long f, long g, long h) {
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h;
}

double doubles(double a, double b, double c, double d, double e, double f, double g, double h, double i) {
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i;
}

double mixed(int a, double b, long double c, float d, char e, double f, short g, void *h) {
    return a + b * 3 + (double)c * 5 + d * 7 + e * 11 + f * 13 + g * 17 + (h == (void *)19);
}

struct small small(struct small value) {
    return (struct small){value.y + 1, (long)value.x + 2};
}

struct large large(struct large value, struct small other) {
    for (int i = 0; i < 9; i++)
        value.words[i] = value.words[i] * 3 + other.y;
    return value;
}

long sum(const char *kinds, ...) {
    va_list arguments;
    double total = 0;
    va_start(arguments, kinds);
    for (; *kinds; kinds++)
        total += *kinds == 'd' ? va_arg(arguments, double) : va_arg(arguments, int);
    va_end(arguments);
    return total * 100;
}

int error_number(void) {
    return errno;
}

#ifndef __powerpc__
// The static chain and the number of vector registers, which no function of C sees.
__asm__(".text\n"
        ".globl registers\n"
        ".type registers, @function\n"
        "registers: movzbl %al, %eax\n"
        "shl $32, %rax\n"
        "add %r10, %rax\n"
        "ret\n"
        ".size registers, . - registers\n");
#endif

#ifdef __AVX__
vector4 vectors4(vector4 a, vector4 b, vector4 c, vector4 d, vector4 e, vector4 f, vector4 g, vector4 h, vector4 i) {
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i;
}
#endif
#ifdef __AVX512F__
vector8 vectors8(vector8 a, vector8 b, vector8 c, vector8 d, vector8 e, vector8 f, vector8 g, vector8 h, vector8 i) {
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i;
}
#endif
#ifdef __ALTIVEC__
vector16 vectors16(vector16 a, vector16 b, vector16 c, vector16 d, vector16 e, vector16 f, vector16 g, vector16 h, vector16 i,
                   vector16 j, vector16 k, vector16 l) {
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j + 11 * k + 12 * l;
}
#endif
