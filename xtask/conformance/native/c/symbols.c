// Definitions of every kind across two objects: weak, common, aliases, hidden, gathered sections, missing ones.
#include <stdio.h>
#include "symbols.h"

int common_one;
int common_array[16];
__attribute__((weak)) int weak_here(void) { return 1; }
__attribute__((weak)) int weak_both(void) { return 2; }
__attribute__((weak)) int weak_variable = 3;
extern int missing_function(void) __attribute__((weak));
extern int missing_variable __attribute__((weak));
static int local(void) { return 100; }
int same_name_main(void) { return local(); }
static int implementation(int value) { return value + 1; }
int alias(int value) __attribute__((alias("implementation")));
int weak_alias(int value) __attribute__((weak, alias("implementation")));
__attribute__((visibility("hidden"))) int hidden_here = 9;
__attribute__((visibility("protected"))) int protected_here(void) { return hidden_here; }
ENTRY(one, 1);
ENTRY(two, 2);
extern struct entry __start_entries[], __stop_entries[];
static const char *const strings[] = {"shared string", "another", "shared string"};
static int (*const functions[])(void) = {weak_here, weak_both, same_name_main, same_name_other, protected_here};
static int *const pointers[] = {&common_one, &common_array[5], &weak_variable, &hidden_here, &other_array[3]};
static const long difference = 8;
volatile const char tail[] = "string";

int main(void) {
    common_one = 11;
    common_array[5] = 12;
    printf("%d %d %d %d\n", weak_here(), weak_both(), weak_variable, other_sum());
    printf("%d %d\n", missing_function ? missing_function() : -1, &missing_variable ? missing_variable : -2);
    for (unsigned at = 0; at < sizeof functions / sizeof *functions; at++) printf("%d ", functions[at]());
    for (unsigned at = 0; at < sizeof pointers / sizeof *pointers; at++) printf("%d ", *pointers[at]);
    int sum = 0;
    for (struct entry *entry = __start_entries; entry < __stop_entries; entry++) sum = sum * 10 + entry->value;
    printf("\n%d %d %d %d\n", sum > 0, (int)(__stop_entries - __start_entries), alias(1), weak_alias(2));
    printf("%s %s %s %ld %s\n", strings[0], strings[1], other_string(), difference, (const char *)tail);
    printf("%d %d\n", strings[0] == strings[2], same_function() == weak_both && inlined(3) == other_inlined(3));
    printf("%d %d\n", tentative, big_array[70000] + (int)sizeof big_array);
    return other_array[3];
}
