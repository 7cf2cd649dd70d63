#include <typeindex>
struct Animal {
    static int count;
    int legs = 4;
    Animal() { count++; }
    virtual ~Animal();
    virtual const char *sound() const = 0;
    virtual Animal *self() { return this; }
};
struct Mammal : virtual Animal { };
struct Flying : virtual Animal { long space = 5; virtual int height() { return 100; } };
struct Bat : Mammal, Flying {
    const char *sound() const override;
    int height() override { return 30 + legs; }
    Bat *self() override { return this; }
};
struct alignas(256) Wide { char bytes[256]; };
Animal *make(int kind);
std::type_index type_of_bat();
