// Three gigabytes of zeros, of which a few pages are touched.
#include <stdio.h>
char large[3ull << 30];
int main(void) {
    large[0] = 1, large[(3ull << 30) - 1] = 7;
    printf("%d %d\n", large[(3ull << 30) - 1] + large[1 << 30], large[0]);
    return 0;
}
