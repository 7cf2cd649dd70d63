// Arguments, input, output, and what runs before and after.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void at_exit(void) { puts("at exit"); }
__attribute__((constructor)) static void before(void) { puts("constructor"); }
__attribute__((destructor)) static void after(void) { puts("destructor"); }

int main(int argc, char **argv) {
    char line[64];
    const char *name = argv[0] + strlen(argv[0]);
    while (name > argv[0] && name[-1] != '/' && name[-1] != '\\') name--;
    atexit(at_exit);
    printf("%s %s [%s]\n", name, argv[1], argc > 2 ? argv[2] : "");
    fputs("an error\n", stderr);
    while (fgets(line, sizeof line, stdin)) printf("read %s", line);
    return 7;
}
