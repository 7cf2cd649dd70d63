// Static objects: order, guards, inline variables and templates that both objects have, destructors.
#include "statics.h"
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

std::vector<std::string> &log() { static std::vector<std::string> lines; return lines; }
__attribute__((init_priority(500))) Object second("priority 500");
__attribute__((init_priority(400))) Object first("priority 400");
Object third("plain");
const Object &reference = Object("kept by a reference");
static std::atomic<int> made;
#if !defined(__GLIBCXX__) || defined(_GLIBCXX_HAS_GTHREADS)
static void wait() { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }
#else // MinGW's library without threads
static void wait() {}
#endif
struct Slow { int value; Slow() { wait(); value = ++made; } };
static int slow() { static Slow once; return once.value; }
static int fails(int round) {
    struct Thrower { Thrower(int round) { if (round < 2) throw round; } };
    static Thrower thrower(round);
    return round;
}
struct Local { ~Local() { std::printf("a local static is gone\n"); } };

int main() {
    for (const std::string &line : log()) std::printf("%s\n", line.c_str());
    std::atomic<int> sum{0};
#if !defined(__GLIBCXX__) || defined(_GLIBCXX_HAS_GTHREADS)
    std::vector<std::thread> threads;
    for (int at = 0; at < 6; at++) threads.emplace_back([&] { sum += slow(); });
    for (std::thread &thread : threads) thread.join();
#endif
    for (int round = 0; round < 4; round++)
        try { std::printf("built in round %d\n", fails(round)); } catch (int number) { std::printf("failed in round %d\n", number); }
    std::printf("%d %d %d\n", sum.load(), &inline_object == address_of_inline(), &Template<int>::value == address_of_template());
    std::printf("%d %d %s\n", next<int>(), next<int>(), reference.name.c_str());
    std::printf("%d %d\n", other_next(), next<char>());
    static Local local;
    std::atexit([] { std::printf("at exit\n"); });
    return 4;
}
