#include "cxx.h"
#include <iostream>
#include <numeric>

static Static second("second");

struct Guard {
    ~Guard() { std::cout << "unwound\n"; }
};

std::string Square::name() const { return "square"; }
void fail(int code) {
    Guard guard;
    if (code < 0) throw code;
    if (code == 0) throw std::logic_error("logic");
    throw Failure(code);
}
std::unique_ptr<Shape> make() { return std::cout << twice(10) << '\n', std::make_unique<Square>(); }
int sum(const std::vector<int> &numbers) { return std::accumulate(numbers.begin(), numbers.end(), 0); }
