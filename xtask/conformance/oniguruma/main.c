/* Patterns of every kind over texts in several encodings: groups, names, look-around, recursion, Unicode properties,
 * sets of patterns searched at once, and patterns that must be refused. */
#include "../common.h"
#include "oniguruma.h"

static const char *const patterns[] = {
    "linker", "(\\w+)\\s+\\1", "(?<word>[a-z]+)(?:\\s)(?<next>\\k<word>|of)", "^the.*$", "(?i)SECTION|BLOCK",
    "(?<=the )\\w+", "\\w+(?= of)", "(?<!the )symbol", "(?>a+)b", "\\d{3,}", "[[:alpha:]&&[^aeiou]]{4,}",
    "\\p{Lu}\\p{Ll}*", "\\bs\\w*?e\\b", "(?:(a)|(b)|(s))o", "\\h+x?", "(?m).{20}\\n.{5}", "\\R", "\\X",
    "(?<paren>\\((?:[^()]|\\g<paren>)*\\))", "(?~block)", "\\K\\d", "(?:section|symbol|relocation){1,2}",
    "(unclosed", "[z-a]", "(?<n>a)\\k<m>", "*", "a{2,1}{3}", "\\p{NoSuchProperty}",
};

static int count_match(int at, int order, OnigRegion *region, void *sum) {
    uint64_t *total = sum;
    (void)order;
    *total = *total * 31 + (uint64_t)at;
    for (int i = 0; i < region->num_regs; i++) *total = *total * 7 + (uint64_t)(region->end[i] + 1);
    return 0;
}

static int show_name(const UChar *name, const UChar *end, int count, int *groups, regex_t *regex, void *unused) {
    (void)regex;
    (void)unused;
    printf("  name %.*s: %d groups, first %d\n", (int)(end - name), name, count, groups[0]);
    return 0;
}

static void search(const char *what, const UChar *pattern, size_t pattern_length, const UChar *text, size_t length,
                   OnigEncoding encoding, OnigSyntaxType *syntax) {
    regex_t *regex;
    OnigErrorInfo info;
    uint64_t sum = 0;
    int status = onig_new(&regex, pattern, pattern + pattern_length, ONIG_OPTION_CAPTURE_GROUP, encoding, syntax, &info);
    if (status != ONIG_NORMAL) {
        UChar message[ONIG_MAX_ERROR_MESSAGE_LEN];
        onig_error_code_to_str(message, status, &info);
        printf("%s: refused: %s\n", what, (char *)message);
        return;
    }
    OnigRegion *region = onig_region_new();
    int matches = onig_scan(regex, text, text + length, region, ONIG_OPTION_NONE, count_match, &sum);
    printf("%s: %d matches, %016llx, %d captures\n", what, matches, (unsigned long long)sum,
           onig_number_of_captures(regex));
    onig_foreach_name(regex, show_name, NULL);
    onig_region_free(region, 1);
    onig_free(regex);
}

/* The text with two bytes a character, big end first. */
static UChar *widen(const char *text, size_t length) {
    UChar *wide = malloc(length * 2);
    for (size_t i = 0; i < length; i++) {
        wide[2 * i] = 0;
        wide[2 * i + 1] = (UChar)text[i];
    }
    return wide;
}

static void set_of_patterns(const char *text, size_t length) {
    OnigRegSet *set;
    regex_t *regexes[4];
    OnigErrorInfo info;
    const UChar *start = (const UChar *)text, *end = start + length, *at = start;
    uint64_t sum = 0;
    int found = 0, where;
    static const char *const members[] = {"relocation", "\\d+", "so\\b", "add?ress"};
    for (int i = 0; i < 4; i++) {
        const UChar *pattern = (const UChar *)members[i];
        require(onig_new(&regexes[i], pattern, pattern + strlen(members[i]), ONIG_OPTION_NONE, ONIG_ENCODING_UTF8,
                         ONIG_SYNTAX_DEFAULT, &info) == ONIG_NORMAL, "member");
    }
    require(onig_regset_new(&set, 4, regexes) == ONIG_NORMAL, "set");
    while (at < end) {
        int which = onig_regset_search(set, start, end, at, end, ONIG_REGSET_POSITION_LEAD, ONIG_OPTION_NONE, &where);
        if (which < 0) break;
        OnigRegion *region = onig_regset_get_region(set, which);
        sum = sum * 31 + (uint64_t)which * 1000003u + (uint64_t)where;
        at = start + (region->end[0] > where ? region->end[0] : where + 1);
        found++;
    }
    printf("set: %d found, %016llx\n", found, (unsigned long long)sum);
    onig_regset_free(set);
}

int main(void) {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8, ONIG_ENCODING_UTF16_BE, ONIG_ENCODING_ISO_8859_1, ONIG_ENCODING_SJIS,
                                ONIG_ENCODING_EUC_JP, ONIG_ENCODING_GB18030};
    static const char unicode[] = "Ärger über Straße und Εὕρηκα, Привет мир 日本語 ½ ٣ (a(b)c) e\xcc\x81\n";
    size_t length = 60000;
    char *text = make_text(length, 3);
    UChar *wide = widen(text, length);
    require(onig_initialize(encodings, 6) == ONIG_NORMAL, "initialize");
    printf("oniguruma %s\n", onig_version());
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        const char *pattern = patterns[i];
        size_t size = strlen(pattern);
        UChar *wide_pattern = widen(pattern, size);
        printf("%s\n", pattern);
        search(" utf-8", (const UChar *)pattern, size, (const UChar *)text, length, ONIG_ENCODING_UTF8, ONIG_SYNTAX_DEFAULT);
        search(" unicode", (const UChar *)pattern, size, (const UChar *)unicode, sizeof unicode - 1, ONIG_ENCODING_UTF8,
               ONIG_SYNTAX_ONIGURUMA);
        search(" utf-16", wide_pattern, size * 2, wide, length * 2, ONIG_ENCODING_UTF16_BE, ONIG_SYNTAX_DEFAULT);
        search(" latin", (const UChar *)pattern, size, (const UChar *)text, length / 4, ONIG_ENCODING_ISO_8859_1,
               ONIG_SYNTAX_PERL_NG);
        search(" sjis", (const UChar *)pattern, size, (const UChar *)text, length / 4, ONIG_ENCODING_SJIS, ONIG_SYNTAX_RUBY);
        search(" gb", (const UChar *)pattern, size, (const UChar *)text, length / 4, ONIG_ENCODING_GB18030, ONIG_SYNTAX_JAVA);
        free(wide_pattern);
    }
    set_of_patterns(text, length);
    onig_end();
    free(text);
    free(wide);
    return 0;
}
