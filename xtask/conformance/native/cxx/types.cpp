// Types at run time: virtual and multiple bases, casts, pointers to members, and operators new of the program.
#include "types.h"
#include <cstdio>
#include <cstdlib>
#include <new>
#include <typeindex>
#include <typeinfo>
#include <unordered_map>

static long allocated, freed;
void *operator new(std::size_t size) { allocated++; if (void *memory = std::malloc(size)) return memory; throw std::bad_alloc(); }
void operator delete(void *memory) noexcept { freed += memory != nullptr; std::free(memory); }
void operator delete(void *memory, std::size_t) noexcept { freed += memory != nullptr; std::free(memory); }
int Animal::count = 0;
Animal::~Animal() { count--; }
const char *Bat::sound() const { return "screech"; }
namespace { struct Hidden : Animal { const char *sound() const override { return "hidden"; } Hidden *self() override { return this; } }; }

int main() {
    Animal *animals[] = {make(0), make(1), make(2), new Hidden, new Bat};
    for (Animal *animal : animals) {
        auto *flying = dynamic_cast<Flying *>(animal);
        auto *mammal = dynamic_cast<Mammal *>(animal);
        std::printf("%s %d %d %d %s\n", animal->sound(), flying ? flying->height() : -1, mammal != nullptr, dynamic_cast<void *>(animal) != nullptr, typeid(*animal).name());
    }
    std::printf("%d %d\n", typeid(*animals[2]) == typeid(Bat), typeid(*animals[2]) == typeid(*animals[4]));
    try { (void)dynamic_cast<Bat &>(*animals[0]); } catch (const std::bad_cast &) { std::printf("bad cast\n"); }
    try { Animal *none = nullptr; (void)typeid(*none); } catch (const std::bad_typeid &) { std::printf("bad typeid\n"); }
    const char *(Animal::*function)() const = &Animal::sound;
    int Animal::*member = &Animal::legs;
    std::printf("%s %d %d\n", (animals[4]->*function)(), animals[1]->*member, animals[2]->self() == animals[2]);
    std::unordered_map<std::type_index, int> types{{typeid(int), 1}, {typeid(Bat), 2}, {type_of_bat(), 3}};
    std::printf("%zu %d\n", types.size(), Animal::count);
    for (Animal *animal : animals) delete animal;
    int *array = new int[10]{};
    delete[] array;
    std::printf("%d %d %d\n", Animal::count, allocated > 5, allocated >= freed);
    auto *wide = new Wide;
    std::printf("%d\n", reinterpret_cast<std::size_t>(wide) % alignof(Wide) == 0);
    delete wide;
    return static_cast<int>(types.size());
}
