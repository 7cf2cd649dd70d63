#include "symbols.h"
int common_one;
int common_array[32];
int tentative;
int tentative = 21;
int big_array[100000] = {[70000] = 5};
__attribute__((weak)) int weak_both(void) { return 20; }
int weak_here(void) { return 10; }
int weak_variable = 30;
static int local(void) { return 200; }
int same_name_other(void) { return local(); }
int other_array[] = {1, 2, 3, 44};
ENTRY(three, 3);
int other_sum(void) { return common_one + common_array[5] + (int)(sizeof common_array / sizeof *common_array); }
const char *other_string(void) { return "shared string"; }
int (*same_function(void))(void) { return weak_both; }
int other_inlined(int value) { return inlined(value); }
