// C++ across two objects: exceptions, type information, static objects, streams, templates that both have.
#include "cxx.h"
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <typeinfo>

static Static first("first");

int main(int argc, char **) {
    try { fail(5); } catch (const Failure &failure) { std::cout << failure.what() << ' ' << failure.code << '\n'; }
    try { fail(0); } catch (const std::exception &error) { std::cout << typeid(error).name() << '\n'; }
    try { fail(-1); } catch (int number) { std::cout << "int " << number << '\n'; }
    try { std::vector<int>().at(3); } catch (const std::out_of_range &) { std::cout << "out of range\n"; }
    try {
        try { fail(7); } catch (...) { std::cout << "again\n"; throw; }
    } catch (const std::runtime_error &error) { std::cout << error.what() << '\n'; }
    auto shape = make();
    std::cout << shape->name() << ' ' << (dynamic_cast<Square *>(shape.get()) != nullptr) << (typeid(*shape) == typeid(Square))
              << '\n';
    std::cout << twice(3) << ' ' << twice(std::string("ab")) << ' ' << calls<int>() << '\n';
    std::map<std::string, int> map{{"b", 2}, {"a", 1}};
    for (auto &[key, value] : map) std::cout << key << value << '\n';
    std::ostringstream text;
    text << 1.5 << ' ' << std::hex << 255;
    std::vector<int> numbers{3, 1, 2};
    std::sort(numbers.begin(), numbers.end(), [](int left, int right) { return left > right; });
    std::function<int(int)> add = [&](int value) { return value + argc; };
    std::cout << text.str() << ' ' << sum(numbers) << numbers[0] << add(1) << std::endl;
    static Static local("local");
    if (argc > 1) throw Failure(9);
    return 3;
}
