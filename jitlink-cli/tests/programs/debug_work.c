/* The second object of debug_main.c. */
struct pair {
    int left;
    int right;
};

volatile int seen;

/* Nothing needs this. */
__attribute__((noinline)) int unused_there(int value) {
    int local = value * 7654321;
    seen = local;
    return local + 1;
}

__attribute__((noinline)) static int scale(int value, int factor) {
    int product = value * factor;
    seen = product;
    if (factor < 0) {
        *(volatile int *)0 = product;
    }
    return product;
}

__attribute__((noinline)) int combine(const struct pair *pair, int factor) {
    int left = scale(pair->left, factor);
    int right = scale(pair->right, factor + 1);
    seen = left;
    return left + right;
}
