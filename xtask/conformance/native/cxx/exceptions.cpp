// Exceptions across objects: types, copies, nesting, destructors on the way, pointers to them, through C's callbacks.
#include "exceptions.h"
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

int Trace::live = 0;
static void nested(int depth) {
    Trace trace(depth);
    try {
        if (depth == 0) throw std::out_of_range("the depth");
        nested(depth - 1);
    } catch (...) {
        std::throw_with_nested(std::runtime_error("level " + std::to_string(depth)));
    }
}
static int chain(const std::exception &error) {
    std::printf("%s; ", error.what());
    try { std::rethrow_if_nested(error); } catch (const std::exception &inner) { return chain(inner) + 1; }
    return 0;
}
struct Member { Member(int value) { if (value == 3) throw value; } };
struct Built {
    Trace before;
    Member member;
    Built(int value) try : before(value), member(value) { } catch (int number) { std::printf("in the constructor %d, ", number); throw; }
};
static int compare(const void *left, const void *right) {
    int a = *static_cast<const int *>(left), b = *static_cast<const int *>(right);
    if (a == 13 || b == 13) throw std::domain_error("unlucky");
    return a - b;
}
static void quiet() noexcept(false) { throw Derived("derived", 5); }
template <class T> static int kind(void (*function)()) {
    try { function(); } catch (T) { return 1; } catch (...) { return 2; }
    return 0;
}

int main(int argc, char **argv) {
    try { nested(3); } catch (const std::exception &error) { std::printf("%d levels, %d live\n", chain(error), Trace::live); }
    for (int what = 0; what < 7; what++) {
        try { throw_one(what); std::printf("nothing\n"); }
        catch (const Derived &error) { std::printf("Derived %s %d\n", error.what(), error.code); }
        catch (const Base &error) { std::printf("Base %s\n", error.what()); }
        catch (const std::bad_alloc &) { std::printf("bad_alloc\n"); }
        catch (const std::system_error &error) { std::printf("system %d\n", error.code().value()); }
        catch (const char *text) { std::printf("text %s\n", text); }
        catch (int *pointer) { std::printf("pointer %d\n", *pointer); }
        catch (...) { std::printf("something\n"); }
    }
    try { Built built(3); } catch (int number) { std::printf("%d, %d live\n", number, Trace::live); }
    std::exception_ptr kept;
    try { throw_one(1); } catch (...) { kept = std::current_exception(); }
    for (int round = 0; round < 2; round++)
        try { std::rethrow_exception(kept); } catch (Base &error) { std::printf("kept %s\n", error.what()); }
    std::vector<int> numbers;
    for (int at = 0; at < 40; at++) numbers.push_back(at * 7 % 40);
    try { std::qsort(numbers.data(), numbers.size(), sizeof(int), compare); } catch (const std::logic_error &error) { std::printf("through qsort: %s\n", error.what()); }
    std::printf("%d %d %d\n", kind<Base>(quiet), kind<Derived>(quiet), kind<int>(quiet));
#if !defined(__GLIBCXX__) || defined(_GLIBCXX_HAS_GTHREADS) // not in MinGW's library without threads
    auto future = std::async(std::launch::async, [] { throw_one(0); return 1; });
    try { future.get(); } catch (const std::exception &error) { std::printf("of a thread: %s\n", error.what()); }
#endif
    std::printf("%d %d\n", cleaned(argc + 4), std::uncaught_exceptions());
    try { std::vector<int>(3).at(static_cast<size_t>(argc) + 5); } catch (const std::out_of_range &) { std::printf("at\n"); }
    try { std::function<void()>()(); } catch (const std::bad_function_call &) { std::printf("empty function\n"); }
    try { (void)new char[static_cast<size_t>(-1) / 2 - static_cast<size_t>(argc)]; } catch (const std::bad_alloc &) { std::printf("no memory\n"); }
    std::set_terminate([] { std::printf("terminate: %d\n", std::current_exception() != nullptr); std::fflush(stdout); std::_Exit(55); });
    std::printf("%d\n", argv[0] != nullptr);
    cannot_throw();
    return 1;
}
