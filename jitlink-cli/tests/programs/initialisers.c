// What runs before and after main, in which order, with which arguments.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__dso_handle;
int __cxa_atexit(void (*)(void *), void *, void *);
void other_object(void);

static void early(int argc, char **argv, char **envp) { printf("preinit %d %s %d\n", argc, argv[0], envp != 0); }
__attribute__((section(".preinit_array"), used)) static void (*early_entry)(int, char **, char **) = early;

__attribute__((constructor(102))) static void init_102(void) { puts("init 102"); }
__attribute__((constructor(101))) static void init_101(int argc, char **argv) { printf("init 101 %d %s\n", argc, argv[0]); }
__attribute__((constructor)) static void init(void) { puts("init"); }
__attribute__((destructor)) static void fini(void) { puts("fini"); }
__attribute__((destructor(101))) static void fini_101(void) { puts("fini 101"); }
__attribute__((destructor(102))) static void fini_102(void) { puts("fini 102"); }

static void ctor_1(void) { puts("ctors 1"); }
static void ctor_2(void) { puts("ctors 2"); }
// Not an array, which a compiler may align to 16 bytes: ld would put a null pointer into .init_array before it.
__attribute__((section(".ctors"), used)) static void (*ctor_entry_1)(void) = ctor_1;
__attribute__((section(".ctors"), used)) static void (*ctor_entry_2)(void) = ctor_2;
static void dtor(void) { puts("dtors"); }
__attribute__((section(".dtors"), used)) static void (*dtor_entry)(void) = dtor;

static void at_exit_1(void) { puts("atexit 1"); }
static void nested(void) { puts("nested atexit"); }
static void at_exit_2(void) { puts("atexit 2"), atexit(nested); }
static void with_argument(void *argument) { printf("cxa_atexit %s\n", (char *)argument); }
static void quick(void) { puts("at_quick_exit"), fflush(stdout); }

int main(int argc, char **argv) {
    puts("main");
    other_object();
    atexit(at_exit_1);
    atexit(at_exit_2);
    __cxa_atexit(with_argument, "argument", &__dso_handle);
    at_quick_exit(quick);
    fflush(stdout);
    if (argc > 1) {
        if (!strcmp(argv[1], "exit")) exit(300);
        if (!strcmp(argv[1], "_exit")) _exit(6);
        if (!strcmp(argv[1], "quick_exit")) quick_exit(9);
        if (!strcmp(argv[1], "abort")) abort();
    }
    return 7;
}
