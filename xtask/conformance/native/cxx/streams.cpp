// Streams, numbers in text, files, locales.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <locale>
#include <map>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

struct Point { int x, y; };
std::ostream &operator<<(std::ostream &out, const Point &point) { return out << '(' << point.x << ", " << point.y << ')'; }
std::istream &operator>>(std::istream &in, Point &point) { char mark; return in >> mark >> point.x >> mark >> point.y >> mark; }
struct Upper : std::streambuf {
    std::string text;
    int_type overflow(int_type character) override { text += static_cast<char>(std::toupper(character)); return character; }
};
struct Grouped : std::numpunct<char> {
    char do_thousands_sep() const override { return '_'; }
    std::string do_grouping() const override { return "\3"; }
};

int main(int argc, char **argv) {
    std::cout << std::setw(8) << std::setfill('*') << 42 << '|' << std::left << std::setw(6) << "ab" << '|' << std::hex << std::showbase << 255 << std::dec << '\n';
    std::cout << std::fixed << std::setprecision(3) << 3.14159 << ' ' << std::scientific << 12345.678 << ' ' << std::defaultfloat << 1e-10 << ' ' << 0.1L << ' ' << std::boolalpha << true << '\n';
    std::istringstream in("12 0x1f text 3.5e2 (4,-5) rest of it");
    int number; std::string hexadecimal, word; double real; Point point;
    in >> number >> hexadecimal >> word >> real >> point;
    std::string rest;
    std::getline(in, rest);
    std::cout << number << hexadecimal << word << real << point << rest << in.eof() << '\n';
    std::stringstream failing("x1");
    failing >> number;
    std::cout << failing.fail() << ' ' << number << '\n';
    try { failing.clear(); failing.exceptions(std::ios::failbit); failing >> number; } catch (const std::ios_base::failure &) { std::cout << "failure thrown\n"; }
    std::string path = std::string("/tmp/jitlink-streams-") + std::to_string(getpid());
    { std::ofstream out(path); for (int line = 0; line < 50; line++) out << "line " << line * line << '\n'; }
    std::ifstream file(path);
    std::map<std::size_t, int> lengths;
    for (std::string line; std::getline(file, line);) lengths[line.size()]++;
    for (auto [length, count] : lengths) std::cout << length << ':' << count << ' ';
    std::remove(path.c_str());
    std::cout << std::ifstream(path).good() << '\n';
    Upper upper;
    std::ostream(&upper) << "upper " << 1.5 << Point{argc, 2};
    std::cout << upper.text << '\n';
    std::ostringstream grouped;
    grouped.imbue(std::locale(std::locale::classic(), new Grouped));
    grouped << 123456789 << ' ' << std::put_time(std::gmtime(new time_t(86400 * 365)), "%Y-%m-%d %A");
    std::cout << grouped.str() << '\n';
    char text[64];
    auto end = std::to_chars(text, text + sizeof text, 1.0 / 3).ptr;
    int parsed = 0;
    std::from_chars(text + 2, text + 8, parsed);
    std::cout << std::string(text, end) << ' ' << parsed << ' ' << std::stod("1e3") << ' ' << std::to_string(2.5) << '\n';
    std::istringstream numbers("5 3 9 1");
    std::vector<int> values{std::istream_iterator<int>(numbers), {}};
    std::sort(values.begin(), values.end());
    std::copy(values.begin(), values.end(), std::ostream_iterator<int>(std::cout, ","));
    std::wostringstream wide;
    wide << L"wide " << 7 << L'\u00e9';
    std::cout << wide.str().size() << std::endl;
    std::clog << argv[0] << '\n';
    std::cout << std::cin.get() << std::flush;
    return static_cast<int>(values.size());
}
