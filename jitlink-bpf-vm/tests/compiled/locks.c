// Values with locks and timers in every place where a kernel looks for them, and in some where it does not.

typedef unsigned int u32;
typedef unsigned long long u64;
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) val *name

struct bpf_spin_lock {
	u32 val;
};
struct bpf_timer {
	u64 opaque[2];
} __attribute__((aligned(8)));
typedef struct bpf_spin_lock other_name;

struct first {
	struct bpf_spin_lock lock;
	u32 count;
	u64 sum;
};
struct both {
	u64 count;
	struct bpf_timer timer;
	u32 before;
	struct bpf_spin_lock lock;
	u32 after;
};
struct inner {
	u32 before;
	struct bpf_spin_lock lock;
};
struct nested {
	u64 before;
	struct {
		struct inner inner;
		u64 after;
	};
};
struct one_element {
	u64 before;
	struct inner inner[1];
	struct bpf_timer timer[1];
};
struct several {
	u64 before;
	struct bpf_spin_lock locks[3];
};
struct repeated {
	struct bpf_spin_lock one;
	u32 between;
	struct bpf_spin_lock two;
	u32 after;
};
struct in_union {
	union {
		struct bpf_spin_lock lock;
		u64 word;
	};
	u64 after;
};
struct renamed {
	other_name lock;
	u32 after;
};
struct bits {
	u32 some : 3;
	u32 more : 7;
	struct bpf_spin_lock lock;
	u64 after;
};
struct empty_array {
	u32 before;
	struct bpf_spin_lock none[0];
	u32 middle;
	struct bpf_timer timer;
};
struct misplaced {
	u32 before;
	char odd;
	struct bpf_spin_lock lock;
	char rest[7];
} __attribute__((packed));
typedef struct first first_t;

#define MAP(name, kind, val)                         \
	struct {                                     \
		__uint(type, kind);                  \
		__uint(max_entries, 4);              \
		__type(key, u32);                    \
		__type(value, val);                  \
	} name SEC(".maps")

#ifdef ONLY
// A kernel refuses all types of a program if it refuses those of one value, so these stand alone.
MAP(only, 2, struct ONLY);

SEC("xdp") int counts(void *ctx)
{
	return 2;
}
#else
MAP(array_first, 2, struct first);
MAP(array_alias, 2, const first_t);
MAP(array_both, 2, struct both);
MAP(array_nested, 2, struct nested);
MAP(array_one, 2, struct one_element);
MAP(array_in_union, 2, struct in_union);
MAP(array_renamed, 2, struct renamed);
MAP(array_empty, 2, struct empty_array);
MAP(array_plain, 2, u64);
MAP(hash_first, 1, struct first);
MAP(hash_both, 1, struct both);
MAP(hash_nested, 1, struct nested);
MAP(lru_first, 9, struct first);
MAP(lru_timer, 9, struct empty_array);
MAP(percpu_first, 6, struct first);

struct {
	__uint(type, 1);
	__uint(max_entries, 4);
	__uint(map_flags, 1 << 7);
	__type(key, u32);
	__type(value, struct first);
} read_only SEC(".maps");

struct template {
	__uint(type, 2);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, struct both);
};
struct {
	__uint(type, 12);
	__uint(max_entries, 2);
	__type(key, u32);
	__uint(value_size, 4);
	struct template *values[];
} outer SEC(".maps") = { .values = { [1] = (void *)&array_both } };

static void *(*lookup)(void *, const void *) = (void *)1;
static long (*update)(void *, const void *, const void *, u64) = (void *)2;
static long (*lock)(struct bpf_spin_lock *) = (void *)93;
static long (*unlock)(struct bpf_spin_lock *) = (void *)94;

// What an update with BPF_F_LOCK gives, of a map with a lock.
SEC("xdp") int counts(void *ctx)
{
	u32 key = 1;
	struct nested new = { .before = 7 };
	struct first *first = lookup(&array_first, &key);

	if (!first)
		return 100;
	lock(&first->lock);
	first->count += 2;
	first->sum += first->count;
	unlock(&first->lock);
	return update(&array_nested, &key, &new, 4) == 0 ? first->count : 101;
}

#endif

char LICENSE[] SEC("license") = "GPL";
