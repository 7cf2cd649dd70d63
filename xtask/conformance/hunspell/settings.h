// Read before every source. The library gives up searches after fractions of a second, so what it suggests depends on the
// machine's speed: its clock stands still here (not at 0, which means "out of time"). And it keeps two such times in
// thread-local variables, which this program of one thread does not need.
#include <ctime>
#define clock() static_cast<clock_t>(1)
#define thread_local static
