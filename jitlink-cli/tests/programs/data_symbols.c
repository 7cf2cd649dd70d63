// Data of the C library is its own, however the object refers to it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;
static FILE **const stream = &stdout;

static int same(const char *name, void *address) { return dlsym(RTLD_DEFAULT, name) == address; }

int main(void) {
    // A copied symbol has another address than the library knows; in a program made by ld, both may be the copy.
    printf("%d %d %d %d\n", same("optind", &optind), same("optarg", &optarg), same("environ", &environ),
           same("stdout", (void *)stream));
    char *words[] = {"x", "-a", "value", "-b", "rest", 0};
    int option;
    while ((option = getopt(5, words, "a:b")) != -1)
        printf("option %c, argument %s, optind %d\n", option, optarg ? optarg : "none", optind);
    printf("optind %d, opterr %d\n", optind, opterr);
    setenv("JITLINK_TEST_VARIABLE", "set", 1);
    int found = 0;
    for (char **entry = environ; *entry; entry++)
        found += !strcmp(*entry, "JITLINK_TEST_VARIABLE=set");
    char *empty[] = {"ONLY=this", 0};
    environ = empty;
    printf("found %d, only %s, path %s\n", found, getenv("ONLY"), getenv("PATH") ? "there" : "gone");
    fprintf(stdout, "to stdout\n");
    fputs("to the stream of a pointer in data\n", *stream);
    errno = 0;
    printf("%d", fopen("/no/such/file", "r") == 0);
    printf(" %d %s\n", errno == ENOENT, program_invocation_short_name);
    return 0;
}
