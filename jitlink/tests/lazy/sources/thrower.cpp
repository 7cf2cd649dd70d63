// Throws; needs its static object.
#include <stdexcept>
#include <string>

struct Counter {
    std::string text;
    int count;
    Counter() : text("made"), count(100) {}
    ~Counter() { count = -1; }
};
static Counter counter;

extern "C" int thrower(int fail) {
    counter.count += counter.text == "made";
    if (fail)
        throw std::runtime_error(std::to_string(1000 + counter.count));
    return counter.count;
}
