// Calls every function, and writes down what came back.
#include <errno.h>
#include <stdio.h>
#include "calls.h"

// A call with a static chain and a number of vector registers of its own choice. Between objects of PowerPC there is neither: stubs use the
// register of the static chain.
#ifndef __powerpc__
long with_registers(void);
__asm__(".text\n"
        ".globl with_registers\n"
        ".type with_registers, @function\n"
        "with_registers: mov $0x123456, %r10d\n"
        "mov $7, %eax\n"
        "sub $8, %rsp\n"
#ifdef __PIC__
        "call registers@PLT\n"
#else
        "movabs $registers, %r11\n"
        "call *%r11\n"
#endif
        "add $8, %rsp\n"
        "ret\n"
        ".size with_registers, . - with_registers\n");
#endif

static double (*volatile through_pointer)(double, double, double, double, double, double, double, double, double) = doubles;

int calls(char *out, int size) {
    int n = 0;
    errno = 77;
    n += snprintf(out + n, size - n, "%d ", error_number());
    n += snprintf(out + n, size - n, "%ld ", integers(1, 2, 3, 4, 5, 6, 7, 8));
    n += snprintf(out + n, size - n, "%g ", doubles(1, 2, 3, 4, 5, 6, 7, 8, 9));
    n += snprintf(out + n, size - n, "%g ", through_pointer(9, 8, 7, 6, 5, 4, 3, 2, 1));
    n += snprintf(out + n, size - n, "%g ", mixed(1, 2.5, 3.5L, 4.5f, 5, 6.5, 7, (void *)19));
    struct small s = small((struct small){2.5, 40});
    n += snprintf(out + n, size - n, "%g,%ld ", s.x, s.y);
    struct large l = large((struct large){{1, 2, 3, 4, 5, 6, 7, 8, 9}}, s);
    for (int i = 0; i < 9; i++)
        n += snprintf(out + n, size - n, "%ld,", l.words[i]);
    n += snprintf(out + n, size - n, " %ld ", sum("didididididid", 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5));
#ifndef __powerpc__
    n += snprintf(out + n, size - n, "%lx ", with_registers());
#endif
#ifdef __AVX__
    vector4 a = {1, 2, 3, 4};
    vector4 v = vectors4(a, a + 1, a + 2, a + 3, a + 4, a + 5, a + 6, a + 7, a + 8);
    for (int i = 0; i < 4; i++)
        n += snprintf(out + n, size - n, "%g,", v[i]);
#endif
#ifdef __AVX512F__
    vector8 b = {1, 2, 3, 4, 5, 6, 7, 8};
    vector8 w = vectors8(b, b + 1, b + 2, b + 3, b + 4, b + 5, b + 6, b + 7, b + 8);
    for (int i = 0; i < 8; i++)
        n += snprintf(out + n, size - n, "%g,", w[i]);
#endif
#ifdef __ALTIVEC__
    vector16 c = {1, 2, 3, 4};
    vector16 x = vectors16(c, c + 1, c + 2, c + 3, c + 4, c + 5, c + 6, c + 7, c + 8, c + 9, c + 10, c + 11);
    for (int i = 0; i < 4; i++)
        n += snprintf(out + n, size - n, "%d,", x[i]);
#endif
    return n;
}
