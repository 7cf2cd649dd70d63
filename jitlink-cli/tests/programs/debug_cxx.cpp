// A template that is called, and an exception that passes frames, under a debugger.
#include <cstdio>
#include <stdexcept>

template <typename T> struct Sum {
    T total{};
    __attribute__((noinline)) void add(T value) {
        total += value;
    }
};

static __attribute__((noinline)) int refuse(int value) {
    if (value > 2) {
        throw std::runtime_error("too much");
    }
    return value;
}

int main(int argc, char **) {
    Sum<long> longs;
    longs.add(argc + 40);
    try {
        refuse(argc + 2);
    } catch (const std::exception &error) {
        std::printf("%s %ld\n", error.what(), longs.total);
    }
    return 0;
}
