#include "choices.h"

static int thrice_of(int value) { return 3 * value; }
static int (*choose_thrice(void))(int) { return thrice_of; }
int thrice(int) __attribute__((ifunc("choose_thrice")));

int (*pointer_elsewhere(void))(int) { return twice; }
double sum_elsewhere(void) { return sum(1, 2.5, 3, 4, 5, 6, 7, 8, 9.25, 0.5f, "b", 2000000); }
