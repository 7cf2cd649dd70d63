// One step of many, that several threads take at once, on maps of every kind that they share.

typedef unsigned int u32;
typedef unsigned long long u64;
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) val *name

static void *(*lookup)(void *, const void *) = (void *)1;
static long (*update)(void *, const void *, const void *, u64) = (void *)2;
static long (*delete)(void *, const void *) = (void *)3;
static long (*lock)(void *) = (void *)93;
static long (*unlock)(void *) = (void *)94;
static void *(*reserve)(void *, u64, u64) = (void *)131;
static void (*submit)(void *, u64) = (void *)132;
static void (*discard)(void *, u64) = (void *)133;

enum { ANY, NOEXIST };
enum { HASH = 1, ARRAY = 2, PERCPU_HASH = 5, PERCPU_ARRAY = 6, LRU_HASH = 9, RINGBUF = 27 };
enum { KEYS = 16 };

struct bpf_spin_lock {
	u32 val;
};
struct step {
	u64 thread;
	u64 number;
};
struct sums {
	u64 before;
	struct bpf_spin_lock lock;
	u64 count;
	u64 sum;
};

#define MAP(name, kind, entries, key_type, value_type) \
	struct {                                       \
		__uint(type, kind);                    \
		__uint(max_entries, entries);          \
		__type(key, key_type);                 \
		__type(value, value_type);             \
	} name SEC(".maps")

MAP(totals, ARRAY, 4, u32, u64);
MAP(by_key, HASH, KEYS, u32, u64);
MAP(recent, LRU_HASH, 64, u32, u64);
MAP(crowded, LRU_HASH, 32, u64, u64);
MAP(own, HASH, 64, struct step, u64);
MAP(percpu, PERCPU_ARRAY, 1, u32, u64);
MAP(percpu_by_key, PERCPU_HASH, KEYS, u32, u64);
MAP(locked, ARRAY, 2, u32, struct sums);
MAP(locked_by_key, HASH, 2, u32, struct sums);
struct {
	__uint(type, RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

u64 calls;

// Adds one to the counter of a key, which is made if need be.
static __attribute__((always_inline)) int count(void *map, const void *key)
{
	u64 zero = 0, *counter = lookup(map, key);

	if (!counter) {
		update(map, key, &zero, NOEXIST);
		counter = lookup(map, key);
	}
	if (!counter)
		return 1;
	__sync_fetch_and_add(counter, 1);
	return 0;
}

static __attribute__((always_inline)) int add(void *map, const u32 *key)
{
	struct sums *sums = lookup(map, key);

	if (!sums)
		return 1;
	lock(&sums->lock);
	sums->count++;
	sums->sum += sums->count;
	unlock(&sums->lock);
	return 0;
}

static __attribute__((noinline)) int record(const struct step *step)
{
	// Those to be given up are counted apart.
	u32 lost = step->number % 8 ? 3 : 2;
	u64 *total;
	struct step *event = reserve(&events, sizeof(*event), 0);

	if (!event) {
		total = lookup(&totals, &lost);
		if (!total)
			return 1;
		__sync_fetch_and_add(total, 1);
		return 0;
	}
	*event = *step;
	// Every eighth one is given up.
	if (step->number % 8)
		submit(event, 0);
	else
		discard(event, 0);
	return 0;
}

// Adds an element of the thread's own, and removes that of the step before.
static __attribute__((noinline)) int replace(const struct step *step)
{
	struct step before = { step->thread, step->number - 1 };

	if (update(&own, step, &step->number, NOEXIST))
		return 1;
	return step->number && delete(&own, &before);
}

SEC("raw") long take(struct step *input)
{
	struct step step = *input;
	u32 zero = 0, one = 1, key = (step.number * 7 + step.thread) % KEYS;
	u64 crowd = step.thread << 32 | step.number;
	u64 *value;

	__sync_fetch_and_add(&calls, 1);
	if (!(value = lookup(&totals, &zero)))
		return 1;
	__sync_fetch_and_add(value, 1);
	if (!(value = lookup(&totals, &one)))
		return 2;
	__sync_fetch_and_add(value, step.number);
	if (count(&by_key, &key) || count(&recent, &key))
		return 3;
	if (update(&crowded, &crowd, &crowd, ANY))
		return 4;
	if (!(value = lookup(&percpu, &zero)))
		return 5;
	*value += 1;
	if (count(&percpu_by_key, &key))
		return 6;
	if (add(&locked, &one) || add(&locked_by_key, &one))
		return 7;
	if (record(&step))
		return 8;
	if (replace(&step))
		return 9;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
