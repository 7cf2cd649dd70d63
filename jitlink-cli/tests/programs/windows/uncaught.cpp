// An exception that nobody catches.
#include <cstdio>
#include <cstdlib>
#include <exception>

struct Guard {
    ~Guard() { std::puts("left"); }
};

int main() {
    std::set_terminate([] {
        std::puts("terminate");
        std::fflush(stdout);
        std::_Exit(5);
    });
    try {
        throw 1;
    } catch (int number) {
        std::printf("caught %d\n", number);
    }
    Guard guard;
    throw 2;
}
