/* Pictures made by arithmetic, packed lossy and lossless at several settings and unpacked again; an animation built and
 * taken apart. */
#include "../common.h"
#include "src/webp/decode.h"
#include "src/webp/demux.h"
#include "src/webp/encode.h"
#include "src/webp/mux.h"

enum { WIDTH = 240, HEIGHT = 180, STRIDE = WIDTH * 4 };

static uint8_t picture[STRIDE * HEIGHT];

static void paint(int shift) {
    Rng rng = {5u + (unsigned)shift};
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            uint8_t *pixel = picture + y * STRIDE + x * 4;
            int dx = x - WIDTH / 2 - shift, dy = y - HEIGHT / 2;
            int inside = dx * dx + dy * dy < 3000;
            pixel[0] = (uint8_t)(x + shift);
            pixel[1] = (uint8_t)(inside ? 200 : y);
            pixel[2] = (uint8_t)((x * y) >> 6 ^ (int)(rng_next(&rng) & 3));
            pixel[3] = (uint8_t)(inside ? 255 : 255 - (x & 63));
        }
    }
}

static int distance(const uint8_t *other) {
    long long sum = 0;
    for (int i = 0; i < STRIDE * HEIGHT; i++) {
        int d = picture[i] - other[i];
        sum += i % 4 == 3 ? 0 : d * d;
    }
    return (int)(sum / (WIDTH * HEIGHT));
}

static void check(const char *what, uint8_t *packed, size_t size) {
    int width = 0, height = 0;
    WebPBitstreamFeatures features;
    require(size > 0, what);
    report(what, packed, size);
    require(WebPGetFeatures(packed, size, &features) == VP8_STATUS_OK, "features");
    uint8_t *unpacked = WebPDecodeRGBA(packed, size, &width, &height);
    require(unpacked != NULL && width == WIDTH && height == HEIGHT, "decode");
    printf("  format %d, alpha %d, distance %d, ", features.format, features.has_alpha, distance(unpacked));
    report("pixels", unpacked, STRIDE * HEIGHT);
    WebPFree(unpacked);
    require(WebPDecodeRGBA(packed, size / 2, &width, &height) == NULL, "half a picture is refused");
    WebPFree(packed);
}

static void configured(const char *what, int method, int lossless, float quality, int hint) {
    WebPConfig config;
    WebPPicture source;
    WebPMemoryWriter writer;
    require(WebPConfigInit(&config) && WebPPictureInit(&source), "init");
    config.method = method;
    config.lossless = lossless;
    config.quality = quality;
    config.image_hint = (WebPImageHint)hint;
    config.use_sharp_yuv = !lossless && method == 4;
    config.segments = 3;
    require(WebPValidateConfig(&config), "config");
    source.use_argb = lossless;
    source.width = WIDTH;
    source.height = HEIGHT;
    require(WebPPictureImportRGBA(&source, picture, STRIDE), "import");
    WebPMemoryWriterInit(&writer);
    source.writer = WebPMemoryWrite;
    source.custom_ptr = &writer;
    require(WebPEncode(&config, &source), "encode");
    WebPPictureFree(&source);
    check(what, writer.mem, writer.size);
}

static void animation(void) {
    WebPAnimEncoderOptions options;
    WebPConfig config;
    WebPData data;
    WebPAnimDecoder *decoder;
    WebPAnimInfo info;
    require(WebPAnimEncoderOptionsInit(&options) && WebPConfigInit(&config), "init");
    options.allow_mixed = 1;
    WebPAnimEncoder *encoder = WebPAnimEncoderNew(WIDTH, HEIGHT, &options);
    for (int frame = 0; frame < 5; frame++) {
        WebPPicture source;
        WebPPictureInit(&source);
        source.use_argb = 1;
        source.width = WIDTH;
        source.height = HEIGHT;
        paint(frame * 9);
        require(WebPPictureImportRGBA(&source, picture, STRIDE), "import");
        require(WebPAnimEncoderAdd(encoder, &source, frame * 40, &config), "frame");
        WebPPictureFree(&source);
    }
    require(WebPAnimEncoderAdd(encoder, NULL, 200, NULL), "end");
    require(WebPAnimEncoderAssemble(encoder, &data), "assemble");
    report("animation", data.bytes, data.size);
    decoder = WebPAnimDecoderNew(&data, NULL);
    require(decoder && WebPAnimDecoderGetInfo(decoder, &info), "info");
    printf("  %u frames of %ux%u\n", info.frame_count, info.canvas_width, info.canvas_height);
    while (WebPAnimDecoderHasMoreFrames(decoder)) {
        uint8_t *pixels;
        int at;
        require(WebPAnimDecoderGetNext(decoder, &pixels, &at), "next");
        printf("  at %d ", at);
        report("frame", pixels, STRIDE * HEIGHT);
    }
    WebPAnimDecoderDelete(decoder);
    WebPAnimEncoderDelete(encoder);
    WebPDataClear(&data);
}

int main(void) {
    uint8_t *packed;
    size_t size;
    printf("webp %x %x\n", WebPGetEncoderVersion(), WebPGetDecoderVersion());
    paint(0);
    for (int quality = 5; quality <= 95; quality += 30) {
        size = WebPEncodeRGBA(picture, WIDTH, HEIGHT, STRIDE, (float)quality, &packed);
        check("lossy", packed, size);
    }
    size = WebPEncodeLosslessRGBA(picture, WIDTH, HEIGHT, STRIDE, &packed);
    check("lossless", packed, size);
    for (int method = 0; method <= 6; method += 2) {
        configured("method", method, 0, 60, WEBP_HINT_PHOTO);
        configured("method lossless", method, 1, 40, WEBP_HINT_GRAPH);
    }
    animation();
    return 0;
}
