// Calls of every kind: callbacks, tail calls, maps of maps, timers, nested functions.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct element {
    struct bpf_spin_lock lock;
    int count;
    struct bpf_timer timer;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 2);
    __type(key, int);
    __type(value, struct element);
} elements SEC(".maps");

struct inner {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, int);
    __type(value, int);
} left SEC(".maps"), right SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 2);
    __type(key, int);
    __array(values, struct inner);
} sides SEC(".maps") = { .values = { &left, &right } };

SEC("tc") int tail(struct __sk_buff *ctx);

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 3);
    __uint(key_size, sizeof(int));
    __array(values, int(void *));
} jumps SEC(".maps") = { .values = { [2] = (void *)&tail } };

static int sums[8];
int calls;

static __noinline int leaf(int x) { return sums[x & 7] + calls++; }
static __noinline int middle(int x) { return leaf(x) * 3 + leaf(x + 1); }
__noinline int upper(int x) { return middle(x) - leaf(x + 2); }

static int step(int index, void *sum) {
    *(int *)sum += upper(index);
    sums[index & 7] = index;
    return index > 20;
}

static int fired(void *map, int *key, struct element *element) {
    bpf_spin_lock(&element->lock);
    element->count++;
    bpf_spin_unlock(&element->lock);
    return 0;
}

static long visit(void *map, int *key, struct element *element, void *sum) {
    *(int *)sum += element->count;
    return 0;
}

SEC("tc") int tail(struct __sk_buff *ctx) {
    int key = 1, *value = 0;
    void *side = bpf_map_lookup_elem(&sides, &key);
    if (side) {
        key = 0;
        value = bpf_map_lookup_elem(side, &key);
    }
    return value ? *value + 1000 : -1;
}

SEC("tc") int loops(struct __sk_buff *ctx) {
    int sum = 0, key = 1;
    struct element *element = bpf_map_lookup_elem(&elements, &key);
    if (!element)
        return -1;
    bpf_timer_init(&element->timer, &elements, 1);
    bpf_timer_set_callback(&element->timer, fired);
    bpf_spin_lock(&element->lock);
    element->count += 5;
    bpf_spin_unlock(&element->lock);
    bpf_loop(10, step, &sum, 0);
    bpf_for_each_map_elem(&elements, visit, &sum, 0);
    return sum;
}

SEC("tc") int jump(struct __sk_buff *ctx) {
    bpf_tail_call(ctx, &jumps, 2);
    return middle(3);
}

char LICENSE[] SEC("license") = "GPL";
