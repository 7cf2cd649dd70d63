#include "exceptions.h"
#include <new>
#include <system_error>
Mixin::~Mixin() = default;
void throw_one(int what) {
    static int number = 17;
    Trace trace(what);
    switch (what) {
    case 0: throw Derived("d", 42);
    case 1: throw Base("b");
    case 2: throw std::bad_alloc();
    case 3: throw std::system_error(std::make_error_code(std::errc::timed_out));
    case 4: throw "a text";
    case 5: throw &number;
    default: throw 1.5f;
    }
}
static int dive(int depth, int &count) {
    struct Count { int &count; ~Count() { count++; } } guard{count};
    if (depth == 0) throw depth;
    return dive(depth - 1, count) + 1;
}
int cleaned(int depth) { int count = 0; try { dive(depth, count); } catch (int) { } return count; }
void cannot_throw() noexcept { throw_one(0); }
