// Uses the indirect functions of another object.
typedef int F(int);
int global5(int);
int hidden6(int) __attribute__((visibility("hidden")));
int sum(const int *, int);

F *other_global5(void) { return global5; }
F *other_hidden6(void) { return hidden6; }
int other(int x) {
    int v[3] = {x, x, x};
    return global5(x) + hidden6(x) + sum(v, 3);
}
