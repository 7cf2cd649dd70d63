// fixture: clang-22 --target=bpf -O2 -g -fdebug-compilation-dir=. -I/usr/include/x86_64-linux-gnu -c
//
// Counts packets by what they carry, and drops what nobody wants: telnet, and anything that claims to be longer than it is.
//
//   jitlink bpf run traffic.bpf.o --pcap capture.pcap
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum outcome { PASSED, DROPPED };

struct service {
    __u8 protocol;
    __u8 reserved;
    __u16 port;
};

struct traffic {
    __u64 packets;
    __u64 bytes;
    enum outcome last;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 256);
    __type(key, struct service);
    __type(value, struct traffic);
} services SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} seen SEC(".maps");

/// Set by who loads the program.
const volatile __u16 blocked_port = 23;

/// The port that a packet goes to, and what kind of packet it is; less than zero if it is cut off.
static __noinline int service_of(struct xdp_md *context, struct service *service)
{
    void *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
    struct ethhdr *ethernet = data;
    if ((void *)(ethernet + 1) > end)
        return -1;
    void *transport;
    switch (ethernet->h_proto) {
    case bpf_htons(ETH_P_IP): {
        struct iphdr *ip = (void *)(ethernet + 1);
        if ((void *)(ip + 1) > end || data + sizeof(*ethernet) + bpf_ntohs(ip->tot_len) > end)
            return -1;
        service->protocol = ip->protocol;
        transport = (void *)ip + ip->ihl * 4;
        break;
    }
    case bpf_htons(ETH_P_IPV6): {
        struct ipv6hdr *ip = (void *)(ethernet + 1);
        if ((void *)(ip + 1) > end)
            return -1;
        service->protocol = ip->nexthdr;
        transport = ip + 1;
        break;
    }
    default:
        return 0;
    }
    if (service->protocol != IPPROTO_TCP && service->protocol != IPPROTO_UDP)
        return 0;
    // Both have their destination port at the same place.
    struct udphdr *ports = transport;
    if ((void *)(ports + 1) > end)
        return -1;
    service->port = bpf_ntohs(ports->dest);
    return 0;
}

SEC("xdp")
int traffic(struct xdp_md *context)
{
    __u32 first = 0;
    __u64 *count = bpf_map_lookup_elem(&seen, &first);
    if (count)
        *count += 1;
    struct service service = {};
    if (service_of(context, &service) < 0) {
        bpf_printk("packet %llu is cut off after %u bytes", count ? *count : 0, context->data_end - context->data);
        return XDP_ABORTED;
    }
    struct traffic none = {}, *traffic = bpf_map_lookup_elem(&services, &service);
    if (!traffic) {
        bpf_map_update_elem(&services, &service, &none, BPF_NOEXIST);
        traffic = bpf_map_lookup_elem(&services, &service);
        if (!traffic)
            return XDP_ABORTED;
    }
    __sync_fetch_and_add(&traffic->packets, 1);
    __sync_fetch_and_add(&traffic->bytes, context->data_end - context->data);
    traffic->last = service.protocol == IPPROTO_TCP && service.port == blocked_port ? DROPPED : PASSED;
    return traffic->last == DROPPED ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
