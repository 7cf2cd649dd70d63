#include "statics.h"
__attribute__((init_priority(450))) Object between("other, priority 450");
static Object plain("other, plain");
const Object *address_of_inline() { return &inline_object; }
const Object *address_of_template() { return &Template<int>::value; }
int other_next() { return next<int>() * 100 + next<char>(); }
