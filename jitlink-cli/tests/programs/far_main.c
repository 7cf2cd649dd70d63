// Uses what far_data.c defines, and does not know that it lies apart.
#include <stdio.h>

extern char big[];
extern int big_init[];
int element(int i);
int (*pointer)(int) = element;

int main(void) {
    big[1] = 40;
    printf("%d %d %d\n", element(1), big_init[2], pointer(0));
    return 0;
}
