// What runs before and after main, by priority and across objects; and an end by exit in the middle.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void say(const char *what);
__attribute__((constructor(300))) static void third(void) { say("constructor 300"); }
__attribute__((constructor(101))) static void first(void) { say("constructor 101"); }
__attribute__((constructor)) static void plain(void) { say("constructor"); }
__attribute__((destructor)) static void after(void) { say("destructor"); }
__attribute__((destructor(300))) static void after_third(void) { say("destructor 300"); }
__attribute__((destructor(101))) static void after_first(void) { say("destructor 101"); }
#ifndef _WIN32
static void with_arguments(int argc, char **argv, char **environment) {
    printf("initialiser: %d %d %d\n", argc, argv[0] != NULL, environment != NULL);
}
__attribute__((section(".init_array"), used)) static void (*initialiser)(int, char **, char **) = with_arguments;
static void status(int code, void *argument) { printf("on exit %d %s\n", code, (char *)argument); }
#endif
static void one(void) { say("exit one"); }
static void nested(void) { say("exit nested"); }
static void two(void) {
    say("exit two");
    // Wine's C library has what is registered now run last.
#ifndef _WIN32
    atexit(nested);
#endif
}

__attribute__((noinline)) static void leave(int code) { exit(code); }

int main(int argc, char **argv) {
    say("main");
    for (int at = 1; at < argc; at++) printf("[%s]\n", argv[at]);
    atexit(one);
#ifndef _WIN32
    on_exit(status, "argument");
#endif
    atexit(two);
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    printf("without a line's end");
    leave((int)strlen(argv[1]) + 20);
    return 1;
}
