#include <iostream>
#include <string>
struct Noisy {
    std::string name;
    Noisy(const char *name) : name(name) { std::cout << "made " << name << std::endl; }
    ~Noisy() { std::cout << "gone " << name << std::endl; }
};
extern thread_local Noisy here;
extern thread_local std::string there;
int other_work(int id);
