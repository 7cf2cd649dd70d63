// Wine before 9 has no bcryptprimitives.dll, of which Rust's standard library needs one function: random bytes of the system.
// Windows has its own and never loads this one.
#include <stddef.h>

__declspec(dllimport) unsigned char __stdcall SystemFunction036(void *bytes, unsigned long size); // RtlGenRandom

__declspec(dllexport) int __stdcall ProcessPrng(unsigned char *bytes, size_t size) {
    while (size > 0) {
        unsigned long part = size < (1ul << 20) ? (unsigned long)size : 1ul << 20;
        if (!SystemFunction036(bytes, part)) {
            return 0;
        }
        bytes += part;
        size -= part;
    }
    return 1;
}
