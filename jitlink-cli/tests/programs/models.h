typedef int (*operation)(int);
int add(int), twice(int), through_pointer(int), classify(int), counted(void);
double average(int count, ...);
const char *describe(int value);
operation function_of_data(void);
extern int large_array[100000], shared_data;
extern const double scale;
__attribute__((weak)) int weakly(void);
