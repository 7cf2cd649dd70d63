// A second object with initialisers of its own, of priorities between those of the first.
#include <stdio.h>
__attribute__((constructor(101))) static void init_101(void) { puts("other init 101"); }
__attribute__((constructor(103))) static void init_103(void) { puts("other init 103"); }
__attribute__((constructor)) static void init(void) { puts("other init"); }
__attribute__((destructor(103))) static void fini_103(void) { puts("other fini 103"); }
__attribute__((destructor)) static void fini(void) { puts("other fini"); }
void other_object(void) { puts("other"); }
