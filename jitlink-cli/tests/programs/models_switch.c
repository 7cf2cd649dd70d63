#include <stdio.h>
#include "models.h"

int classify(int value) {
    switch (value % 9) {
    case 0: return add(1);
    case 1: return twice(value) - 1;
    case 2: return value * value;
    case 3: return -value;
    case 4: puts("four"); return 4;
    case 5: return value ^ 5;
    case 6: return add(twice(6));
    case 7: return value >> 1;
    default: return 0;
    }
}

const char *describe(int value) {
    static const char *const words[] = {"none", "one", "two", "several"};
    return words[value < 3 ? value : 3];
}
