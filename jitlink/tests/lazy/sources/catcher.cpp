// Catches what a lazy function throws.
#include <stdexcept>
#include <string>

extern "C" int thrower(int fail);

struct Cleanup {
    int &count;
    ~Cleanup() { count++; }
};

extern "C" int catcher(int fail) {
    int cleaned = 0;
    try {
        Cleanup cleanup{cleaned};
        return thrower(fail);
    } catch (const std::runtime_error &error) {
        return cleaned == 1 ? std::stoi(error.what()) : -1;
    }
}
