// Exceptions through objects, through the C library, and again from where they were caught, whichever unwinders a program has.
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

struct Note {
    const char *text;
    ~Note() { std::printf("left %s\n", text); }
};

static int compare(const void *left, const void *right) {
    Note note{"compare"};
    if (*static_cast<const int *>(left) != *static_cast<const int *>(right)) throw std::runtime_error("unequal");
    return 0;
}

__attribute__((noinline)) static void sort(int *values) {
    Note note{"sort"};
    try {
        std::qsort(values, 2, sizeof *values, compare);
    } catch (const std::logic_error &) {
        std::puts("not this one");
    } catch (...) {
        std::puts("again");
        throw;
    }
}

int main() {
    int values[2] = {7, 3};
    for (int round = 0; round < 2; round++) {
        try {
            sort(values);
        } catch (const std::exception &error) {
            std::printf("caught %s\n", error.what());
        }
    }
    return 0;
}
