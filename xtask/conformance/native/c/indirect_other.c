int triple(int value);
int elsewhere(int value) { return triple(value) + 1; }
int (*address(void))(int) { return triple; }
