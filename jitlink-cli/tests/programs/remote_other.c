// The rest of a program.
int from_other[3] = {1, 2, 3};
static int calls;

int shared_value(void) {
    return from_other[1] + ++calls;
}
