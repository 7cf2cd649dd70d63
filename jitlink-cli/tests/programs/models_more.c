#include <stdarg.h>
#include "models.h"

int large_array[100000];
const double scale = 0.25;
static int calls;
static operation pointer = twice;
static operation *const pointer_to_pointer = &pointer;

int add(int value) { return calls++, value + shared_data; }
int twice(int value) { return calls++, 2 * value; }
int through_pointer(int value) { return (*pointer_to_pointer)(value) + pointer(value); }
int counted(void) { return calls; }
operation function_of_data(void) { static operation kept = add; return kept; }

double average(int count, ...) {
    va_list values;
    double sum = 0;
    va_start(values, count);
    for (int index = 0; index < count; index++)
        sum += va_arg(values, double);
    va_end(values);
    return sum / count;
}
