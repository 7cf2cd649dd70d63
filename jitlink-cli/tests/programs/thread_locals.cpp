#include <iostream>
#include <thread>
#include <string>
#include <vector>
#include <mutex>
#include <stdexcept>

struct Noisy { std::string name; Noisy(std::string n):name(n){} ~Noisy(){ std::cout << "gone " << name << std::endl; } };
thread_local Noisy noisy("thread-local");
inline thread_local int hits = 3;
std::once_flag flag;
int &local() { static thread_local int x = 9; static Noisy once("static"); return ++x; }
void work(int n) { std::call_once(flag, []{ std::cout << "once" << std::endl; }); noisy.name += std::to_string(n); hits += n; local(); std::cout << noisy.name << ' ' << hits << ' ' << local() << std::endl; try { throw std::runtime_error("x" + noisy.name); } catch (std::exception &e) { std::cout << e.what() << std::endl; } }
int main() { work(1); std::thread t(work, 2); t.join(); std::vector<std::thread> v; for (int i = 3; i < 6; i++) { v.emplace_back(work, i); v.back().join(); } return hits; }
