/* A program that waits for new code, under a debugger. */
#include <stdio.h>
#include <unistd.h>

int version(int given);

int main(void) {
    int now = version(1);
    printf("version %d\n", now);
    fflush(stdout);
    for (int i = 0; i < 6000 && now == 1; i++) {
        usleep(10000);
        now = version(1);
    }
    printf("version %d\n", now);
    return 0;
}
