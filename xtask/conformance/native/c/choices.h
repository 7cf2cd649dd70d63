#include <stdio.h>
double sum(int, double, int, int, int, int, int, int, double, float, char *, long);
double sum_elsewhere(void);
int twice(int);
int thrice(int);
int (*pointer_elsewhere(void))(int);
