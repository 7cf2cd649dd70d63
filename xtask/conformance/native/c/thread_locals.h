extern __thread int other;
extern __thread int hidden[3] __attribute__((visibility("hidden")));
int add(int value);
void bump(int by);
int total(void);
int *address_of_other(void);
