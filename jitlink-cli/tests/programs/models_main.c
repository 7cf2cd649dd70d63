// Several objects under every code model: calls, data, statics, function pointers, switch tables, variable arguments, floats.
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models.h"

int shared_data = 11;
static int local_data[64] = {1, 2, 3};
static int zeroed[4096];
static const struct { const char *name; operation apply; } table[] = {
    {"add", add}, {"twice", twice}, {"through", through_pointer}, {"switch", classify},
};

static int compare(const void *left, const void *right) { return *(const int *)left - *(const int *)right; }

static int apply_all(int value) {
    for (unsigned index = 0; index < sizeof table / sizeof *table; index++) {
        value = table[index].apply(value);
        printf("%s %d\n", table[index].name, value);
    }
    return value;
}

int main(int argc, char **argv) {
    int values[] = {5, -3, 9, 1};
    qsort(values, 4, sizeof *values, compare);
    printf("%d %d %d %d\n", values[0], values[1], values[2], values[3]);
    local_data[argc] += shared_data, zeroed[4095] = local_data[argc], large_array[99999] = 7;
    printf("%d %d %d %d\n", local_data[1], zeroed[4095], large_array[99999], counted());
    printf("%d %.6f %s\n", apply_all(argc), average(4, 1.5, 2.5, 3.25, 100.0), describe(argc + 1));
    printf("%.4f %.4Lf %d\n", sin(1.0) + scale, 1.0L / 3, (int)strlen(argv[0]) > 0);
    printf("%d %d\n", weakly ? weakly() : -1, function_of_data() == add);
    return shared_data + counted();
}
