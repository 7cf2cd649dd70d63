#include <stdio.h>
static int count;
void say(const char *what) { printf("%d %s\n", ++count, what); }
__attribute__((constructor(200))) static void second(void) { say("constructor 200"); }
__attribute__((constructor)) static void plain(void) { say("other constructor"); }
__attribute__((destructor(200))) static void after_second(void) { say("destructor 200"); }
