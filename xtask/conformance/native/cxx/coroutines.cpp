// Coroutines: generators, tasks that await each other, exceptions through them.
#include <coroutine>
#include <exception>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

template <class T> struct Generator {
    struct promise_type {
        std::optional<T> value;
        std::exception_ptr error;
        Generator get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        std::suspend_always yield_value(T next) { value = std::move(next); return {}; }
        void return_void() { value.reset(); }
        void unhandled_exception() { error = std::current_exception(); }
    };
    std::coroutine_handle<promise_type> handle;
    Generator(std::coroutine_handle<promise_type> handle) : handle(handle) {}
    Generator(Generator &&other) : handle(std::exchange(other.handle, {})) {}
    ~Generator() { if (handle) handle.destroy(); }
    std::optional<T> next() {
        handle.promise().value.reset();
        handle.resume();
        if (handle.promise().error) std::rethrow_exception(handle.promise().error);
        return handle.promise().value;
    }
};
struct Guard { const char *name; ~Guard() { std::cout << name << " is gone\n"; } };
static Generator<long> fibonacci(int count) {
    Guard guard{"fibonacci"};
    long one = 0, two = 1;
    for (int at = 0; at < count; at++) { co_yield one; one = std::exchange(two, one + two); }
    if (count > 20) throw std::overflow_error("too many");
}
struct Task {
    struct promise_type {
        int value = 0;
        std::exception_ptr error;
        std::coroutine_handle<> waiting = std::noop_coroutine();
        Task get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() { return {}; }
        auto final_suspend() noexcept {
            struct Resume {
                bool await_ready() noexcept { return false; }
                std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> done) noexcept { return done.promise().waiting; }
                void await_resume() noexcept {}
            };
            return Resume{};
        }
        void return_value(int result) { value = result; }
        void unhandled_exception() { error = std::current_exception(); }
    };
    std::coroutine_handle<promise_type> handle;
    Task(std::coroutine_handle<promise_type> handle) : handle(handle) {}
    Task(Task &&other) : handle(std::exchange(other.handle, {})) {}
    ~Task() { if (handle) handle.destroy(); }
    bool await_ready() { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) { handle.promise().waiting = caller; return handle; }
    int await_resume() { if (handle.promise().error) std::rethrow_exception(handle.promise().error); return handle.promise().value; }
    int run() { handle.resume(); return await_resume(); }
};
static Task leaf(int value) { if (value == 3) throw value; co_return value * value; }
static Task tree(int depth) {
    if (depth == 0) co_return 1;
    int sum = co_await leaf(depth);
    Task left = tree(depth - 1);
    sum += co_await left;
    co_return sum + co_await tree(depth - 1);
}
static Task many() { int sum = 0; for (int at = 4; at < 20000; at++) sum = (sum + co_await leaf(at)) % 10007; co_return sum; }

int main() {
    { auto numbers = fibonacci(30); for (int at = 0; at < 10; at++) std::cout << *numbers.next() << ' '; }
    auto numbers = fibonacci(21);
    try { for (;;) numbers.next(); } catch (const std::overflow_error &error) { std::cout << error.what() << '\n'; }
    std::cout << tree(2).run() << ' ' << many().run() << '\n';
    try { tree(4).run(); } catch (int number) { std::cout << "thrown through: " << number << '\n'; }
    auto words = [](std::vector<std::string> list) -> Generator<std::string> { for (auto &word : list) co_yield word + "!"; }({"one", "two"});
    while (auto word = words.next()) std::cout << *word << std::endl;
    return 3;
}
