struct entry { int value; const char *name; };
#define ENTRY(NAME, VALUE) \
    static const struct entry entry_##NAME __attribute__((section("entries"), used)) = {VALUE, #NAME}
int weak_here(void);
int weak_both(void);
int same_name_other(void);
int other_sum(void);
const char *other_string(void);
int (*same_function(void))(void);
int other_inlined(int value);
extern int other_array[], tentative;
extern int big_array[100000];
static inline int inlined(int value) { return value * 2; }
