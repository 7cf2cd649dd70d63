#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

struct Shape {
    virtual ~Shape() {}
    virtual std::string name() const = 0;
};
struct Square : Shape {
    std::string name() const override;
};
struct Failure : std::runtime_error {
    int code;
    explicit Failure(int code) : std::runtime_error("failure"), code(code) {}
};
struct Static {
    const char *name;
    explicit Static(const char *name) : name(name) { std::cout << "construct " << name << std::endl; }
    ~Static() { std::cout << "destroy " << name << std::endl; }
};
template <class T> int &calls() {
    static int count;
    return count;
}
template <class T> T twice(T value) { return ++calls<T>(), value + value; }

void fail(int code);
std::unique_ptr<Shape> make();
int sum(const std::vector<int> &numbers);
