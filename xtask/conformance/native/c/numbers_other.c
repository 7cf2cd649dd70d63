#include <complex.h>
#include <string.h>
struct small { int one; float two; };
struct pair { double one, two; };
struct large { long values[5]; char name[8]; };
typedef float vector __attribute__((vector_size(16)));
struct large make(struct small small, struct pair pair, long double wide, int last) {
    struct large large = {{small.one, (long)(small.two * 10), (long)(pair.one * pair.two * 4), (long)wide, last}, ""};
    strcpy(large.name, "large");
    return large;
}
vector turn(vector value) { return (vector){value[3], value[2], value[1], value[0]} + value; }
double _Complex rotate(double _Complex value) { return value * I; }
