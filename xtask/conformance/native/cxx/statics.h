#include <cstdio>
#include <string>
#include <vector>
std::vector<std::string> &log();
struct Object {
    std::string name;
    Object(const char *name) : name(name) { log().push_back(std::string("made ") + name); }
    ~Object() { std::printf("gone %s\n", name.c_str()); }
};
inline Object inline_object("inline");
template <class T> struct Template { static Object value; };
template <class T> Object Template<T>::value("of a template");
template <class T> int next() { static int count = 10; return ++count; }
const Object *address_of_inline();
const Object *address_of_template();
int other_next();
