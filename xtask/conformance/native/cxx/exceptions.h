#include <stdexcept>
#include <string>
struct Base : std::runtime_error { using runtime_error::runtime_error; };
struct Mixin { virtual ~Mixin(); int code = 0; };
struct Derived : Mixin, virtual Base { Derived(const char *text, int number) : Base(text) { code = number; } };
struct Trace { static int live; int id; Trace(int id) : id(id) { live++; } ~Trace() { live--; } };
void throw_one(int what);
int cleaned(int depth);
void cannot_throw() noexcept;
