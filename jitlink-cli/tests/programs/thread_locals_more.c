__thread int shared = 100;
static __thread int own = 3;
static __thread int own2 = 4;
int bump(void) { own += own2; return shared += own; }
