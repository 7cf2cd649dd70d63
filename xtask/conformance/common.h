/* What the drivers share: numbers that look random and are always the same, and checksums of results.
 *
 * A driver prints what its library computed and nothing else: no address, no time, no path, so that the same objects
 * print the same bytes whoever links them. */
#ifndef JITLINK_CONFORMANCE_COMMON_H
#define JITLINK_CONFORMANCE_COMMON_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint64_t state;
} Rng;

static inline uint32_t rng_next(Rng *rng) {
    rng->state ^= rng->state << 13;
    rng->state ^= rng->state >> 7;
    rng->state ^= rng->state << 17;
    return (uint32_t)(rng->state >> 16);
}

static inline uint32_t rng_below(Rng *rng, uint32_t limit) { return rng_next(rng) % limit; }

/* FNV-1a, 64 bits. */
static inline uint64_t checksum(const void *bytes, size_t length) {
    const unsigned char *byte = (const unsigned char *)bytes;
    uint64_t sum = 14695981039346656037ull;
    for (size_t i = 0; i < length; i++) {
        sum = (sum ^ byte[i]) * 1099511628211ull;
    }
    return sum;
}

static inline void report(const char *what, const void *bytes, size_t length) {
    printf("%s: %zu bytes, %016llx\n", what, length, (unsigned long long)checksum(bytes, length));
}

/* Ends the program with status 3 when something that must hold does not. */
static inline void require(int holds, const char *what) {
    if (!holds) {
        printf("failed: %s\n", what);
        fflush(stdout);
        exit(3);
    }
}

/* Text that compresses as text does: words from a small vocabulary, in a skewed order. */
static inline char *make_text(size_t length, uint64_t seed) {
    static const char *const words[] = {"the", "linker", "resolves", "a", "symbol", "of", "section", "and", "block", "to",
                                        "an", "address", "then", "writes", "it", "where", "relocation", "says", "so"};
    Rng rng = {seed};
    char *text = (char *)malloc(length + 1);
    size_t at = 0;
    require(text != NULL, "memory");
    while (at < length) {
        uint32_t pick = rng_below(&rng, 400);
        const char *word = words[(pick * pick / 400) * 19 / 400];
        for (; *word && at < length; word++) text[at++] = *word;
        if (at < length) text[at++] = pick % 23 == 0 ? '\n' : ' ';
        if (pick % 61 == 0 && at + 8 < length) at += (size_t)sprintf(text + at, "%u ", rng_next(&rng) % 100000);
    }
    text[length] = 0;
    return text;
}

#endif
