// Variables of threads with constructors and destructors, in two objects.
#include "thread_locals.h"
#include <iostream>
#include <thread>
#include <vector>

thread_local Noisy here("here");
inline thread_local int plain = 3;
static thread_local std::vector<int> numbers{1, 2, 3};
template <class T> struct Holder { static thread_local T value; };
template <class T> thread_local T Holder<T>::value = T(7);
struct Late { ~Late() { std::cout << "late " << plain << std::endl; } };

static int &counter() { static thread_local int count = there.size() ? 10 : 20; return ++count; }
static void work(int id) {
    here.name += std::to_string(id);
    there += "+" + std::to_string(id);
    plain += id;
    numbers.push_back(id);
    Holder<long>::value += id;
    Holder<std::string *>::value = nullptr;
    static thread_local Late late;
    (void)&late;
    std::cout << here.name << ' ' << there << ' ' << plain << ' ' << numbers.size() << ' ' << Holder<long>::value << ' ' << counter() << counter()
              << ' ' << other_work(id) << std::endl;
}

int main() {
    work(1);
    for (int id = 2; id < 5; id++) std::thread(work, id).join();
    std::thread([] { std::cout << "uses nothing" << std::endl; }).join();
    std::cout << there << std::endl;
    return plain;
}
