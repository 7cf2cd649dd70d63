/* Round trips at many levels, over text, noise and structure; streams, dictionaries trained on samples, long distance
 * matching, checksums, and input that was damaged on purpose. */
#include "../common.h"
#include "zdict.h"
#include "zstd.h"
#include "zstd_errors.h"

static void round_trip(const char *what, const char *data, size_t length, int level) {
    size_t bound = ZSTD_compressBound(length);
    char *packed = malloc(bound);
    char *unpacked = malloc(length + 1);
    size_t size = ZSTD_compress(packed, bound, data, length, level);
    require(!ZSTD_isError(size), ZSTD_getErrorName(size));
    require(ZSTD_decompress(unpacked, length, packed, size) == length, "decompress");
    require(memcmp(data, unpacked, length) == 0, "round trip");
    printf("level %d ", level);
    report(what, packed, size);
    packed[size / 2] ^= 0x55;
    printf("damaged: %s\n", ZSTD_isError(ZSTD_decompress(unpacked, length, packed, size)) ? "refused" : "taken");
    free(packed);
    free(unpacked);
}

static void stream(const char *data, size_t length) {
    ZSTD_CCtx *pack = ZSTD_createCCtx();
    ZSTD_DCtx *unpack = ZSTD_createDCtx();
    char *packed = malloc(ZSTD_compressBound(length) + 4096);
    char *unpacked = malloc(length);
    ZSTD_CCtx_setParameter(pack, ZSTD_c_compressionLevel, 7);
    ZSTD_CCtx_setParameter(pack, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setParameter(pack, ZSTD_c_enableLongDistanceMatching, 1);
    ZSTD_outBuffer out = {packed, ZSTD_compressBound(length) + 4096, 0};
    for (size_t at = 0; at < length; at += 10007) {
        size_t chunk = length - at < 10007 ? length - at : 10007;
        ZSTD_inBuffer in = {data + at, chunk, 0};
        ZSTD_EndDirective end = at + chunk == length ? ZSTD_e_end : ZSTD_e_continue;
        require(!ZSTD_isError(ZSTD_compressStream2(pack, &out, &in, end)), "stream");
    }
    report("stream", packed, out.pos);
    ZSTD_inBuffer back = {packed, out.pos, 0};
    ZSTD_outBuffer result = {unpacked, length, 0};
    while (back.pos < back.size) require(!ZSTD_isError(ZSTD_decompressStream(unpack, &result, &back)), "back");
    require(result.pos == length && memcmp(unpacked, data, length) == 0, "stream round trip");
    ZSTD_freeCCtx(pack);
    ZSTD_freeDCtx(unpack);
    free(packed);
    free(unpacked);
}

static void dictionary(void) {
    enum { SAMPLES = 1500, SIZE = 300 };
    static char samples[SAMPLES * SIZE];
    static char trained[16384];
    static char packed[4096], unpacked[SIZE];
    size_t sizes[SAMPLES], total = 0;
    for (int i = 0; i < SAMPLES; i++) {
        char *text = make_text(SIZE, 1000u + (unsigned)i);
        memcpy(samples + i * SIZE, text, SIZE);
        sizes[i] = SIZE;
        free(text);
    }
    size_t size = ZDICT_trainFromBuffer(trained, sizeof trained, samples, sizes, SAMPLES);
    require(!ZDICT_isError(size), "train");
    report("dictionary", trained, size);
    ZSTD_CDict *cdict = ZSTD_createCDict(trained, size, 5);
    ZSTD_DDict *ddict = ZSTD_createDDict(trained, size);
    ZSTD_CCtx *pack = ZSTD_createCCtx();
    ZSTD_DCtx *unpack = ZSTD_createDCtx();
    for (int i = 0; i < SAMPLES; i += 3) {
        size_t got = ZSTD_compress_usingCDict(pack, packed, sizeof packed, samples + i * SIZE, SIZE, cdict);
        require(!ZSTD_isError(got), "with dictionary");
        require(ZSTD_decompress_usingDDict(unpack, unpacked, SIZE, packed, got, ddict) == SIZE, "back");
        require(memcmp(unpacked, samples + i * SIZE, SIZE) == 0, "dictionary round trip");
        total += got;
    }
    printf("with dictionary: %zu\n", total);
    ZSTD_freeCDict(cdict);
    ZSTD_freeDDict(ddict);
    ZSTD_freeCCtx(pack);
    ZSTD_freeDCtx(unpack);
}

int main(void) {
    static const int levels[] = {-7, -1, 1, 2, 3, 5, 7, 9, 12, 16, 19, 22};
    enum { SIZE = 400000 };
    Rng rng = {7};
    char *text = make_text(SIZE, 99);
    char *noise = malloc(SIZE);
    uint32_t *counts = malloc(SIZE);
    for (int i = 0; i < SIZE; i++) noise[i] = (char)rng_next(&rng);
    for (int i = 0; i < SIZE / 4; i++) counts[i] = (uint32_t)i * 3 + (rng_next(&rng) & 7);
    printf("zstd %s\n", ZSTD_versionString());
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        round_trip("text", text, SIZE, levels[i]);
        round_trip("counts", (char *)counts, SIZE, levels[i]);
        if (levels[i] < 10) round_trip("noise", noise, SIZE, levels[i]);
    }
    stream(text, SIZE);
    dictionary();
    printf("error: %s\n", ZSTD_getErrorString(ZSTD_error_dictionary_wrong));
    free(text);
    free(noise);
    free(counts);
    return 0;
}
