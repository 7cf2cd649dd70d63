#define SEC(name) __attribute__((section(name), used))
#define CORE __attribute__((preserve_access_index))
enum unnamed { UNNAMED };
volatile unsigned long long sink;
char _license[] SEC("license") = "GPL";
