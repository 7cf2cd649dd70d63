// What the two sides of the calls share.
struct small {
    double x;
    long y;
};
struct large {
    long words[9];
};
long integers(long, long, long, long, long, long, long, long);
double doubles(double, double, double, double, double, double, double, double, double);
double mixed(int, double, long double, float, char, double, short, void *);
struct small small(struct small);
struct large large(struct large, struct small);
long sum(const char *, ...);
int error_number(void);
#ifdef __AVX__
typedef double vector4 __attribute__((vector_size(32)));
vector4 vectors4(vector4, vector4, vector4, vector4, vector4, vector4, vector4, vector4, vector4);
#endif
#ifdef __AVX512F__
typedef double vector8 __attribute__((vector_size(64)));
vector8 vectors8(vector8, vector8, vector8, vector8, vector8, vector8, vector8, vector8, vector8);
#endif
#ifdef __ALTIVEC__
typedef int vector16 __attribute__((vector_size(16)));
vector16 vectors16(vector16, vector16, vector16, vector16, vector16, vector16, vector16, vector16, vector16, vector16, vector16, vector16);
#endif
