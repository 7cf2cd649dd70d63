// Counts packets by protocol, with functions, maps and data of several sections.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct counters {
    __u64 packets, bytes;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, struct counters);
} by_protocol SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} sizes SEC(".maps");

const volatile __u32 smallest = 20;
const volatile int verbose = 0;
__u64 total;
__u32 limit = 1500;
__u32 marks[4] SEC(".data.marks") = { 1, 2, 3, 4 };

static __noinline __u32 class_of(__u32 len) {
    return len < 64 ? 0 : len < 512 ? 1 : len < limit ? 2 : 3;
}

__noinline int account(__u32 protocol, __u32 len) {
    struct counters *found = bpf_map_lookup_elem(&by_protocol, &protocol);
    if (!found) {
        struct counters first = { 1, len };
        return bpf_map_update_elem(&by_protocol, &protocol, &first, BPF_ANY);
    }
    __sync_fetch_and_add(&found->packets, 1);
    __sync_fetch_and_add(&found->bytes, len);
    return 0;
}

static __always_inline int count(void *data, void *end) {
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    __u32 len = end - data, class = class_of(len);
    __u64 *size = bpf_map_lookup_elem(&sizes, &class);
    if (size)
        *size += 1;
    total += len;
    if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
        return -1;
    if (verbose)
        bpf_printk("protocol %d, %d bytes", ip->protocol, len);
    account(ip->protocol, len);
    return len < smallest ? -1 : (int)marks[class & 3];
}

SEC("xdp") int count_xdp(struct xdp_md *ctx) {
    int result = count((void *)(long)ctx->data, (void *)(long)ctx->data_end);
    return result < 0 ? XDP_DROP : XDP_PASS;
}

SEC("tc") int count_tc(struct __sk_buff *ctx) {
    return count((void *)(long)ctx->data, (void *)(long)ctx->data_end);
}

char LICENSE[] SEC("license") = "GPL";
