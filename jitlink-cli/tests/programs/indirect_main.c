// Indirect functions of every visibility, reached in every way; what it prints is known.
#include <stdio.h>

typedef int F(int);
int runs;
static int five(int x) { return 5 + x; }
static int six(int x) { return 6 + x; }
static F *choose_five(void) { runs = runs * 10 + 1; return five; }
static F *choose_six(void) { runs = runs * 10 + 2; return six; }
static F *choose_hidden(void) { runs = runs * 10 + 3; return six; }
static F *choose_never(void) { __builtin_trap(); }

int global5(int) __attribute__((ifunc("choose_five")));
static int local6(int) __attribute__((ifunc("choose_six")));
int hidden6(int) __attribute__((ifunc("choose_hidden"), visibility("hidden")));
int never(int) __attribute__((ifunc("choose_never")));

__attribute__((target_clones("avx2", "default"))) int sum(const int *v, int n) {
    int s = 0;
    for (int i = 0; i < n; i++) s += v[i] * 3;
    return s;
}

F *table[] = {global5, local6, hidden6};
F *const constants[] = {global5, local6, hidden6};
F *other_global5(void);
F *other_hidden6(void);
int other(int);

static volatile int before;
__attribute__((constructor)) static void look(void) { before = runs > 99; }

int main(void) {
    int v[100];
    for (int i = 0; i < 100; i++) v[i] = i;
    printf("before: %d\n", before);
    printf("calls: %d %d %d\n", global5(1), local6(1), hidden6(1));
    printf("pointers: %d %d %d\n", table[0](2), table[1](2), table[2](2));
    printf("clones: %d %d\n", sum(v, 100), other(3));
    F *volatile g = global5, *volatile l = local6, *volatile h = hidden6;
    printf("data: %d %d %d\n", g == table[0], l == table[1], h == table[2]);
    printf("constants: %d %d %d\n", g == constants[0], l == constants[1], h == constants[2]);
    printf("elsewhere: %d %d\n", g == other_global5(), h == other_hidden6());
    int once = 0;
    for (int all = runs; all; all /= 10) once++;
    printf("resolvers: %d\n", once);
    return 7;
}
