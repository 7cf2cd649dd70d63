#include "thread_locals.h"
__thread int other = 1000;
__thread int hidden[3] = {1, 2, 3};
static __thread int bumps;
extern __thread long visible;
int add(int value) { return value + other + bumps; }
void bump(int by) { bumps += by; }
int total(void) { return other + bumps + (int)visible; }
int *address_of_other(void) { return &other; }
