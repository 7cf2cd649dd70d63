/* Colour transforms between profiles made here: every intent, 8 and 16 bits and floating point, proofing, tables built
 * from sampled functions, profiles written and read back, appearance models, measurement sheets. */
#include "../common.h"
#include "lcms2.h"

enum { PIXELS = 20000 };

static uint16_t source[PIXELS * 4];
static uint8_t result[PIXELS * 4 * sizeof(double)];

static void transform(const char *what, cmsHPROFILE from, cmsUInt32Number in, cmsHPROFILE to, cmsUInt32Number out,
                      cmsUInt32Number intent, cmsUInt32Number flags) {
    cmsHTRANSFORM transform = cmsCreateTransform(from, in, to, out, intent, flags);
    if (!transform) {
        printf("%s: none\n", what);
        return;
    }
    memset(result, 0, sizeof result);
    cmsDoTransform(transform, source, result, PIXELS);
    printf("intent %u flags %x ", intent, flags);
    report(what, result, sizeof result);
    cmsDeleteTransform(transform);
}

static cmsInt32Number mix(const cmsUInt16Number in[], cmsUInt16Number out[], void *cargo) {
    int *calls = cargo;
    ++*calls;
    out[0] = (cmsUInt16Number)((in[0] * 3 + in[1]) / 4);
    out[1] = (cmsUInt16Number)(65535 - in[2]);
    out[2] = (cmsUInt16Number)(in[1] ^ in[0] >> 3);
    return TRUE;
}

/* A device link whose table is sampled from `mix`, through memory. */
static void device_link(void) {
    int calls = 0;
    cmsPipeline *pipeline = cmsPipelineAlloc(NULL, 3, 3);
    cmsStage *table = cmsStageAllocCLut16bit(NULL, 17, 3, 3, NULL);
    require(pipeline && table && cmsStageSampleCLut16bit(table, mix, &calls, 0), "sample");
    require(cmsPipelineInsertStage(pipeline, cmsAT_BEGIN, table), "insert");
    cmsHPROFILE link = cmsCreateProfilePlaceholder(NULL);
    cmsSetDeviceClass(link, cmsSigLinkClass);
    cmsSetColorSpace(link, cmsSigRgbData);
    cmsSetPCS(link, cmsSigRgbData);
    cmsSetProfileVersion(link, 2.1);
    require(cmsWriteTag(link, cmsSigAToB0Tag, pipeline), "tag");
    cmsUInt32Number size = 0;
    require(cmsSaveProfileToMem(link, NULL, &size), "size");
    void *memory = malloc(size);
    require(cmsSaveProfileToMem(link, memory, &size), "save");
    cmsHPROFILE again = cmsOpenProfileFromMem(memory, size);
    require(again != NULL, "read back");
    printf("device link: %d calls, %u bytes\n", calls, size);
    cmsHPROFILE chain[] = {again};
    cmsHTRANSFORM through = cmsCreateMultiprofileTransform(chain, 1, TYPE_RGB_16, TYPE_RGB_16, INTENT_PERCEPTUAL, 0);
    require(through != NULL, "chain");
    cmsDoTransform(through, source, result, PIXELS);
    report("device link", result, PIXELS * 6);
    cmsDeleteTransform(through);
    cmsCloseProfile(again);
    cmsCloseProfile(link);
    cmsPipelineFree(pipeline);
    free(memory);
}

static void models(void) {
    cmsViewingConditions conditions = {{95.047, 100, 108.883}, 20, 200, AVG_SURROUND, D_CALCULATE};
    cmsHANDLE model = cmsCIECAM02Init(NULL, &conditions);
    double sum = 0;
    for (int i = 0; i < 200; i++) {
        cmsCIEXYZ xyz = {20 + i % 50, 30 + i % 31, 10 + i % 77}, back;
        cmsJCh jch;
        cmsCIELab a = {50 + i % 40, i % 60 - 30, i % 50 - 25}, b = {55, 10, -10};
        cmsCIECAM02Forward(model, &xyz, &jch);
        cmsCIECAM02Reverse(model, &jch, &back);
        sum += cmsCIE2000DeltaE(&a, &b, 1, 1, 1) + cmsCMCdeltaE(&a, &b, 1, 1) + jch.J + (back.X - xyz.X);
    }
    printf("models: %.6f\n", sum);
    cmsCIECAM02Done(model);
}

static void sheet(void) {
    static const char text[] = "IT8.7/2\nORIGINATOR \"here\"\nNUMBER_OF_FIELDS 4\nBEGIN_DATA_FORMAT\nSAMPLE_ID RGB_R RGB_G RGB_B\n"
                               "END_DATA_FORMAT\nNUMBER_OF_SETS 3\nBEGIN_DATA\nA1 1.5 2 3\nA2 4 5e1 6\nA3 7 8 9.25\nEND_DATA\n";
    cmsHANDLE it8 = cmsIT8LoadFromMem(NULL, text, sizeof text - 1);
    cmsUInt32Number size = 0;
    require(it8 != NULL, "sheet");
    printf("sheet: %s %.3f %.3f\n", cmsIT8GetSheetType(it8), cmsIT8GetDataDbl(it8, "A2", "RGB_G"),
           cmsIT8GetDataDbl(it8, "A3", "RGB_B"));
    require(cmsIT8SaveToMem(it8, NULL, &size), "sheet size");
    printf("sheet: %u bytes\n", size);
    cmsIT8Free(it8);
}

int main(void) {
    Rng rng = {21};
    cmsCIExyY white = {0.3457, 0.3585, 1};
    cmsCIExyYTRIPLE wide = {{0.7, 0.29, 1}, {0.18, 0.75, 1}, {0.14, 0.05, 1}};
    cmsToneCurve *gamma = cmsBuildGamma(NULL, 1.8), *curves[] = {gamma, gamma, gamma};
    cmsHPROFILE srgb = cmsCreate_sRGBProfile(), rgb = cmsCreateRGBProfile(&white, &wide, curves);
    cmsHPROFILE lab = cmsCreateLab4Profile(NULL), xyz = cmsCreateXYZProfile(), gray = cmsCreateGrayProfile(&white, gamma);
    cmsHPROFILE bright = cmsCreateBCHSWabstractProfile(17, 5, 1.1, 10, 4, 5000, 6500);
    for (int i = 0; i < PIXELS * 4; i++) source[i] = (uint16_t)rng_next(&rng);
    printf("lcms2 %d\n", cmsGetEncodedCMMversion());
    for (cmsUInt32Number intent = 0; intent < 4; intent++) {
        transform("srgb to wide", srgb, TYPE_RGB_8, rgb, TYPE_RGB_8, intent, 0);
        transform("srgb to wide 16", srgb, TYPE_RGB_16, rgb, TYPE_BGR_16, intent, cmsFLAGS_HIGHRESPRECALC);
        transform("wide to lab", rgb, TYPE_RGB_16, lab, TYPE_Lab_16, intent, cmsFLAGS_BLACKPOINTCOMPENSATION);
        transform("lab to srgb", lab, TYPE_Lab_16, srgb, TYPE_RGBA_8, intent, cmsFLAGS_NOOPTIMIZE);
        transform("srgb to gray", srgb, TYPE_RGB_8, gray, TYPE_GRAY_8, intent, 0);
        transform("srgb to xyz", srgb, TYPE_RGB_8, xyz, TYPE_XYZ_16, intent, 0);
        transform("float", srgb, TYPE_RGB_16, lab, TYPE_Lab_DBL, intent, 0);
    }
    cmsHPROFILE chain[] = {srgb, bright, rgb};
    cmsHTRANSFORM through = cmsCreateMultiprofileTransform(chain, 3, TYPE_RGB_8, TYPE_RGB_8, INTENT_PERCEPTUAL, 0);
    if (through) {
        cmsDoTransform(through, source, result, PIXELS);
        report("chain", result, PIXELS * 3);
        cmsDeleteTransform(through);
    }
    device_link();
    models();
    sheet();
    printf("curve: %.6f %.6f %d\n", cmsEvalToneCurveFloat(gamma, 0.3f), cmsEstimateGamma(gamma, 0.01),
           cmsIsToneCurveMonotonic(gamma));
    cmsFreeToneCurve(gamma);
    cmsHPROFILE all[] = {srgb, rgb, lab, xyz, gray, bright};
    for (int i = 0; i < 6; i++) cmsCloseProfile(all[i]);
    return 0;
}
