#include "types.h"
struct Dog : Mammal { const char *sound() const override { return "bark"; } Dog() { legs = 40; } };
struct Bird : Flying { const char *sound() const override { return "song"; } Bird() { legs = 2; } Bird *self() override { return this; } };
Animal *make(int kind) {
    if (kind == 0) return new Dog;
    if (kind == 1) return new Bird;
    return new Bat;
}
std::type_index type_of_bat() { return typeid(Bat); }
