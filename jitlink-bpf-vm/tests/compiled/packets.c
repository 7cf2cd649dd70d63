typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))

struct xdp_md {
    u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

struct __sk_buff {
    u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority, ingress_ifindex;
    u32 ifindex, tc_index, cb[5], hash, tc_classid, data, data_end;
};

struct event {
    u64 time;
    u32 len;
};

static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u64 (*ktime)(void) = (void *)5;
static long (*printk)(const char *format, u32 size, ...) = (void *)6;
static long (*store_bytes)(void *skb, u32 offset, const void *from, u32 len, u64 flags) = (void *)9;
static long (*l3_replace)(void *skb, u32 offset, u64 from, u64 to, u64 size) = (void *)10;
static long (*tail_call)(void *context, void *map, u32 index) = (void *)12;
static long (*redirect)(u32 ifindex, u64 flags) = (void *)23;
static long (*adjust_head)(struct xdp_md *context, int offset) = (void *)44;
static void *(*reserve)(void *map, u64 size, u64 flags) = (void *)131;
static void (*submit)(void *record, u64 flags) = (void *)132;
static long (*each)(void *map, void *function, void *context, u64 flags) = (void *)164;
static long (*loop)(u32 count, void *function, void *context, u64 flags) = (void *)181;

struct {
    int (*type)[1];
    int (*max_entries)[16];
    u32 *key;
    u64 *value;
} counts SEC(".maps");

struct {
    int (*type)[27];
    int (*max_entries)[4096];
} events SEC(".maps");

int too_short(struct xdp_md *context);

struct {
    int (*type)[3];
    int (*key_size)[4];
    int (*max_entries)[2];
    int (*values[])(struct xdp_md *);
} programs SEC(".maps") = {.values = {[1] = too_short}};

u32 shorts;

SEC("xdp") int too_short(struct xdp_md *context)
{
    shorts++;
    return 1;
}

SEC("xdp") int tag(struct xdp_md *context)
{
    u8 *data = (u8 *)(long)context->data, *end = (u8 *)(long)context->data_end;
    u8 link[12];
    if (data + 34 > end) {
        tail_call(context, &programs, 1);
        return 0;
    }
    u32 protocol = data[23];
    u64 one = 1, *count = map_lookup(&counts, &protocol);
    if (count)
        __sync_fetch_and_add(count, 1);
    else
        map_update(&counts, &protocol, &one, 1);
    struct event *event = reserve(&events, sizeof(*event), 0);
    if (event) {
        event->time = ktime();
        event->len = end - data;
        submit(event, 0);
    }
    static const char format[] = "protocol %u of %pI4\n";
    printk(format, sizeof(format), protocol, data + 26);
    __builtin_memcpy(link, data, 12);
    if (adjust_head(context, -4))
        return 0;
    data = (u8 *)(long)context->data;
    end = (u8 *)(long)context->data_end;
    if (data + 16 > end)
        return 0;
    __builtin_memcpy(data, link, 12);
    data[12] = 0x81;
    data[13] = 0;
    data[14] = 0x01;
    data[15] = 0x23;
    return 3;
}

static long add(u32 index, u64 *sum)
{
    *sum += index;
    return index == 9;
}

static long total(void *map, u32 *key, u64 *value, u64 *sum)
{
    *sum += *key * *value;
    return 0;
}

SEC("tc") int mark(struct __sk_buff *skb)
{
    u64 sum = 0;
    u8 ttl = 7;
    skb->cb[0] = loop(100, add, &sum, 0);
    skb->cb[1] = each(&counts, total, &sum, 0);
    skb->mark = sum;
    u8 *data = (u8 *)(long)skb->data, *end = (u8 *)(long)skb->data_end;
    if (data + 34 > end)
        return 2;
    u32 from = *(unsigned short *)(data + 22);
    u32 to = (from & ~0xffu) | ttl;
    if (store_bytes(skb, 22, &ttl, 1, 0) || l3_replace(skb, 24, from, to, 2))
        return 2;
    return redirect(5, 1);
}

char _license[] SEC("license") = "GPL";
