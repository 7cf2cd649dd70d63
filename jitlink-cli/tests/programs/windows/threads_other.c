_Thread_local int other = 11;
int *address_of_other(void) { return &other; }
