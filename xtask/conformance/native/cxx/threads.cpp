// Threads of C++20: locks, futures, what is called once, tokens that stop, atomics that wait.
#include <atomic>
#include <barrier>
#include <condition_variable>
#include <future>
#include <iostream>
#include <latch>
#include <mutex>
#include <numeric>
#include <queue>
#include <semaphore>
#include <shared_mutex>
#include <stop_token>
#include <thread>
#include <vector>

static std::once_flag once, failing;
static std::mutex lock;
static std::condition_variable changed;
static std::queue<int> queue;

int main() {
    std::vector<std::thread> threads;
    std::atomic<long> sum{0};
    for (int id = 0; id < 4; id++)
        threads.emplace_back([&, id] { std::call_once(once, [] { std::cout << "once\n"; }); for (int at = 0; at < 1000; at++) sum.fetch_add(id, std::memory_order_relaxed); });
    for (auto &thread : threads) thread.join();
    std::cout << sum << '\n';
    int tries = 0;
    for (int round = 0; round < 3; round++)
        try { std::call_once(failing, [&] { if (++tries < 2) throw tries; }); } catch (int number) { std::cout << "failed " << number << '\n'; }
    std::cout << tries << " tries\n";
    std::thread consumer([] {
        int total = 0;
        for (int value = 1; value != 0; total += value) {
            std::unique_lock held(lock);
            changed.wait(held, [] { return !queue.empty(); });
            value = queue.front();
            queue.pop();
        }
        std::cout << "consumed " << total << '\n';
    });
    for (int value = 20; value >= 0; value--) { std::lock_guard held(lock); queue.push(value); changed.notify_one(); }
    consumer.join();
    auto square = std::async(std::launch::async, [](int value) { return value * value; }, 12);
    auto deferred = std::async(std::launch::deferred, [] { return std::string("deferred"); });
    std::promise<int> promise;
    std::thread([&promise] { promise.set_exception(std::make_exception_ptr(std::logic_error("promised"))); }).join();
    std::packaged_task<int(int)> task([](int value) { return value + 1; });
    auto packaged = task.get_future();
    std::thread(std::move(task), 6).join();
    std::cout << square.get() << deferred.get() << packaged.get() << '\n';
    try { promise.get_future().get(); } catch (const std::logic_error &error) { std::cout << error.what() << '\n'; }
    std::atomic<int> flag{0};
    std::jthread stopped([&flag](std::stop_token token) { flag.wait(0); while (!token.stop_requested()) std::this_thread::yield(); std::cout << "stopped\n"; });
    flag = 1;
    flag.notify_all();
    stopped.request_stop();
    stopped.join();
    std::latch latch(3);
    std::barrier barrier(2, []() noexcept { std::cout << "phase\n"; });
    std::counting_semaphore<4> semaphore(0);
    std::vector<std::jthread> others;
    for (int id = 0; id < 2; id++) others.emplace_back([&] { latch.count_down(); for (int round = 0; round < 3; round++) barrier.arrive_and_wait(); semaphore.release(); });
    latch.arrive_and_wait();
    semaphore.acquire();
    semaphore.acquire();
    std::shared_mutex shared;
    std::shared_lock one(shared), two(shared, std::defer_lock);
    std::cout << two.try_lock() << shared.try_lock() << '\n';
    std::recursive_timed_mutex timed;
    std::scoped_lock both(timed, lock);
    std::cout << timed.try_lock_for(std::chrono::milliseconds(1)) << std::endl;
    return 6;
}
