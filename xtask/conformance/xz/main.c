/* Round trips through every container, check and filter that the library has, at several presets; streams in small
 * pieces; the index read back; damage found. */
#include "../common.h"
#include "lzma.h"

enum { SIZE = 300000 };

static uint8_t packed[SIZE * 2], unpacked[SIZE];

static void back(const char *what, const uint8_t *data, size_t size) {
    uint64_t limit = UINT64_MAX;
    size_t in = 0, out = 0;
    report(what, packed, size);
    require(lzma_stream_buffer_decode(&limit, 0, NULL, packed, &in, size, unpacked, &out, SIZE) == LZMA_OK, "decode");
    require(out == SIZE && memcmp(unpacked, data, SIZE) == 0, "round trip");
    packed[size / 2] ^= 0x10;
    in = out = 0;
    printf("  damaged: %d\n",
           lzma_stream_buffer_decode(&limit, 0, NULL, packed, &in, size, unpacked, &out, SIZE) != LZMA_OK);
}

static void preset(const uint8_t *data, uint32_t level, lzma_check check) {
    size_t size = 0;
    require(lzma_easy_buffer_encode(level, check, NULL, data, SIZE, packed, &size, sizeof packed) == LZMA_OK, "encode");
    printf("preset %x check %d ", level, check);
    back("easy", data, size);
}

static void filtered(const char *what, const uint8_t *data, lzma_vli id, void *options) {
    lzma_options_lzma lzma;
    size_t size = 0;
    require(!lzma_lzma_preset(&lzma, 4), "preset");
    lzma.lc = 2;
    lzma.lp = 1;
    lzma.mf = LZMA_MF_BT2;
    lzma_filter filters[] = {{id, options}, {LZMA_FILTER_LZMA2, &lzma}, {LZMA_VLI_UNKNOWN, NULL}};
    require(lzma_stream_buffer_encode(filters, LZMA_CHECK_SHA256, NULL, data, SIZE, packed, &size, sizeof packed) == LZMA_OK,
            what);
    back(what, data, size);
}

/* The old container, fed and drained in small pieces. */
static void pieces(const uint8_t *data) {
    lzma_stream stream = LZMA_STREAM_INIT;
    lzma_options_lzma lzma;
    lzma_ret status = LZMA_OK;
    size_t fed = 0;
    require(!lzma_lzma_preset(&lzma, 2) && lzma_alone_encoder(&stream, &lzma) == LZMA_OK, "alone");
    stream.next_out = packed;
    while (status == LZMA_OK) {
        if (stream.avail_in == 0 && fed < SIZE) {
            stream.next_in = data + fed;
            stream.avail_in = SIZE - fed < 777 ? SIZE - fed : 777;
            fed += stream.avail_in;
        }
        stream.avail_out = 1000;
        status = lzma_code(&stream, fed < SIZE ? LZMA_RUN : LZMA_FINISH);
    }
    require(status == LZMA_STREAM_END, "alone encode");
    size_t size = (size_t)stream.total_out;
    report("alone", packed, size);
    require(lzma_auto_decoder(&stream, UINT64_MAX, 0) == LZMA_OK, "auto");
    stream.next_in = packed;
    stream.avail_in = size;
    stream.next_out = unpacked;
    stream.avail_out = SIZE;
    status = lzma_code(&stream, LZMA_FINISH);
    require(stream.avail_out == 0 && memcmp(unpacked, data, SIZE) == 0, "alone round trip");
    printf("alone status %d, memory %d\n", status, lzma_memusage(&stream) > 0);
    lzma_end(&stream);
}

static void indexes(void) {
    lzma_index *index = lzma_index_init(NULL), *again = NULL;
    lzma_index_iter iter;
    uint64_t limit = UINT64_MAX, sum = 0;
    size_t in = 0, out = 0;
    for (lzma_vli i = 1; i < 3000; i++) require(lzma_index_append(index, NULL, 20 + i % 97, i * 3) == LZMA_OK, "append");
    require(lzma_index_buffer_encode(index, packed, &out, sizeof packed) == LZMA_OK, "index encode");
    report("index", packed, out);
    require(lzma_index_buffer_decode(&again, &limit, NULL, packed, &in, out) == LZMA_OK, "index decode");
    lzma_index_iter_init(&iter, again);
    while (!lzma_index_iter_next(&iter, LZMA_INDEX_ITER_BLOCK)) sum = sum * 31 + iter.block.uncompressed_file_offset;
    printf("index: %llu blocks, %016llx\n", (unsigned long long)lzma_index_block_count(again), (unsigned long long)sum);
    lzma_index_end(index, NULL);
    lzma_index_end(again, NULL);
}

int main(void) {
    Rng rng = {11};
    uint8_t *text = (uint8_t *)make_text(SIZE, 77);
    uint8_t *code = malloc(SIZE);
    lzma_options_delta delta = {.type = LZMA_DELTA_TYPE_BYTE, .dist = 4};
    /* Calls among other bytes, for the filter of branch targets. */
    for (int i = 0; i < SIZE; i++) code[i] = (uint8_t)(i % 17 == 0 ? 0xe8 : i % 17 > 3 ? rng_below(&rng, 9) : i >> 12);
    printf("xz %s\n", lzma_version_string());
    for (uint32_t level = 0; level <= 9; level += 3) {
        preset(text, level, LZMA_CHECK_CRC32);
        preset(code, level, LZMA_CHECK_CRC64);
    }
    preset(text, 6 | LZMA_PRESET_EXTREME, LZMA_CHECK_NONE);
    filtered("x86", code, LZMA_FILTER_X86, NULL);
    filtered("sparc", code, LZMA_FILTER_SPARC, NULL);
    filtered("delta", text, LZMA_FILTER_DELTA, &delta);
    pieces(text);
    indexes();
    printf("crc %08x %016llx\n", lzma_crc32(text, SIZE, 0), (unsigned long long)lzma_crc64(code, SIZE, 0));
    free(text);
    free(code);
    return 0;
}
