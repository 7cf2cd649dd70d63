// What programs take from the library: containers, algorithms, patterns, paths, time, types that hold others.
#include <algorithm>
#include <any>
#include <array>
#include <bitset>
#include <chrono>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <regex>
#include <set>
#include <string_view>
#include <tuple>
#include <unistd.h>
#include <unordered_map>
#include <variant>
#include <vector>

namespace fs = std::filesystem;
static void patterns() {
    std::regex words(R"((\w+)@(\w+)\.(com|org))"), number("[-+]?[0-9]+", std::regex::extended);
    std::string text = "one@example.com, two@test.org; -12 and +345";
    for (std::sregex_iterator at(text.begin(), text.end(), words), end; at != end; ++at) std::cout << (*at)[1] << '/' << (*at)[2] << '/' << (*at)[3] << ' ';
    std::cout << std::regex_replace(text, number, "<$&>") << ' ' << std::regex_match("abc", std::regex("A.C", std::regex::icase)) << '\n';
    try { std::regex broken("(unclosed"); } catch (const std::regex_error &error) { std::cout << (error.code() == std::regex_constants::error_paren) << '\n'; }
}
static void paths() {
    fs::path folder = fs::temp_directory_path() / ("jitlink-library-" + std::to_string(getpid()));
    // Of a process that had the number before, and crashed.
    fs::remove_all(folder);
    fs::create_directories(folder / "a/b");
    std::ofstream(folder / "a/file.txt") << "twelve bytes";
    fs::copy(folder / "a", folder / "copy", fs::copy_options::recursive);
    fs::rename(folder / "copy/file.txt", folder / "copy/b/renamed.dat");
    std::set<std::string> names;
    for (const auto &entry : fs::recursive_directory_iterator(folder)) names.insert(fs::relative(entry.path(), folder).generic_string() + (entry.is_directory() ? "/" : ":" + std::to_string(entry.file_size())));
    for (const auto &name : names) std::cout << name << ' ';
    std::error_code error;
    fs::file_size(folder / "none", error);
    std::cout << (error == std::errc::no_such_file_or_directory) << fs::path("/a/./b/../c.tar.gz").lexically_normal().stem() << '\n';
    try { fs::remove(folder); } catch (const fs::filesystem_error &failure) { std::cout << (failure.code() == std::errc::directory_not_empty) << ' '; }
    std::cout << fs::remove_all(folder) << '\n';
}
template <class... Ts> struct Visitor : Ts... { using Ts::operator()...; };
template <class... Ts> Visitor(Ts...) -> Visitor<Ts...>;

int main(int argc, char **) {
    std::unordered_map<std::string, std::vector<int>> index;
    std::string_view text = "the cat and the dog and the bird";
    for (size_t start = 0, end; start < text.size(); start = end + 1) { end = std::min(text.find(' ', start), text.size()); index[std::string(text.substr(start, end - start))].push_back(static_cast<int>(start)); }
    std::map<std::string, size_t> sorted;
    for (auto &[word, places] : index) sorted[word] = places.size() + places.back();
    for (auto &[word, value] : sorted) std::cout << word << '=' << value << ' ';
    std::mt19937 random(5);
    std::vector<int> numbers(1000);
    std::generate(numbers.begin(), numbers.end(), [&] { return static_cast<int>(random() % 1000); });
    std::stable_sort(numbers.begin(), numbers.end(), std::greater<>());
    std::nth_element(numbers.begin(), numbers.begin() + 500, numbers.end());
    std::cout << numbers[500] << ' ' << std::accumulate(numbers.begin(), numbers.end(), 0L) << ' ' << std::bitset<20>(numbers[500]) << '\n';
    std::vector<std::variant<int, std::string, std::vector<int>>> values{1, "text", std::vector{1, 2, 3}};
    for (auto &value : values) std::visit(Visitor{[](int number) { std::cout << "int " << number; }, [](const std::string &word) { std::cout << " string " << word; }, [](const std::vector<int> &list) { std::cout << " list " << list.size() << '\n'; }}, value);
    try { (void)std::get<int>(values[1]); } catch (const std::bad_variant_access &) { std::cout << "bad variant "; }
    std::any any = std::string("any");
    try { std::cout << std::any_cast<std::string>(any) << ' '; (void)std::any_cast<int>(any); } catch (const std::bad_any_cast &) { std::cout << "bad any "; }
    try { std::cout << std::optional<int>().value_or(argc) << ' '; (void)std::optional<int>().value(); } catch (const std::bad_optional_access &) { std::cout << "bad optional\n"; }
    std::list<std::unique_ptr<int>> list;
    for (int at = 0; at < 5; at++) list.push_front(std::make_unique<int>(at));
    list.sort([](auto &a, auto &b) { return *a % 3 < *b % 3; });
    for (auto &item : list) std::cout << *item;
    auto shared = std::make_shared<std::deque<int>>(3, 9);
    std::weak_ptr<std::deque<int>> weak = shared;
    std::function<int(int)> recursive = [&](int value) { return value < 2 ? 1 : recursive(value - 1) + recursive(value - 2); };
    std::cout << ' ' << weak.use_count() << ' ' << recursive(15) << ' ' << std::apply([](auto... parts) { return (parts + ...); }, std::tuple(1, 2.5, 3L)) << '\n';
    shared.reset();
    try { std::shared_ptr<std::deque<int>> gone(weak); } catch (const std::bad_weak_ptr &) { std::cout << "expired "; }
    auto start = std::chrono::steady_clock::now();
    std::cout << (std::chrono::steady_clock::now() >= start) << ' ' << std::chrono::duration_cast<std::chrono::minutes>(std::chrono::hours(3)).count() << '\n';
    patterns();
    paths();
    std::cout << std::flush;
    return 5;
}
