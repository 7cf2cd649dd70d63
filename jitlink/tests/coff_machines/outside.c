// What program.c refers to, part of it by import slots.
int host_value = 1234, host_data = 77;
int host_add(int left, int right) { return left + right; }
int host_twice(int value) { return 2 * value; }
