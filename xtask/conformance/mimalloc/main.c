/* An allocator that finds its heap by a thread-local variable: threads that come and go allocate, fill, check and free blocks of all
 * sizes and alignments, hand them to each other through mailboxes, and leave some to be taken over by others when they end. */
#include "../common.h"
#include "mimalloc.h"
#include <pthread.h>

enum { THREADS = 4, GENERATIONS = 3, SLOTS = 400, MAILBOXES = 64, STEPS = 20000 };

typedef struct {
    size_t size;
    unsigned char seed;
    unsigned char bytes[];
} Block;

static _Atomic(Block *) mailboxes[MAILBOXES];

static Block *make(Rng *rng) {
    size_t size = rng_below(rng, 100) ? rng_below(rng, 2000) : rng_below(rng, 300000);
    size_t align = (size_t)16 << rng_below(rng, 8);
    Block *block;
    switch (rng_below(rng, 4)) {
    case 0: block = mi_malloc_aligned(sizeof(Block) + size, align); break;
    case 1: block = mi_malloc(sizeof(Block) + size); break;
    case 2: block = mi_calloc(1, sizeof(Block) + size); break;
    default:
        block = mi_malloc(sizeof(Block));
        block = mi_realloc(block, sizeof(Block) + size);
    }
    require(block != NULL, "memory");
    require(mi_usable_size(block) >= sizeof(Block) + size, "usable size");
    block->size = size;
    block->seed = (unsigned char)rng_next(rng);
    memset(block->bytes, block->seed, size);
    return block;
}

static uint64_t check(Block *block) {
    for (size_t i = 0; i < block->size; i++) require(block->bytes[i] == block->seed, "content");
    uint64_t sum = block->size * 31 + block->seed;
    mi_free(block);
    return sum;
}

typedef struct {
    uint64_t seed, made, checked;
} Work;

static void *work(void *argument) {
    Work *own = argument;
    Rng rng = {own->seed};
    Block *slots[SLOTS] = {0};
    for (int step = 0; step < STEPS; step++) {
        Block **slot = &slots[rng_below(&rng, SLOTS)];
        if (*slot && rng_below(&rng, 8) == 0) {
            /* Whoever comes by next frees it. */
            *slot = __atomic_exchange_n((Block **)&mailboxes[rng_below(&rng, MAILBOXES)], *slot, __ATOMIC_ACQ_REL);
        }
        if (*slot) own->checked += check(*slot);
        *slot = make(&rng);
        own->made += (*slot)->size * 31 + (*slot)->seed;
    }
    for (int i = 0; i < SLOTS; i++) {
        /* What is left to a mailbox outlives the thread. */
        Block *left = i < MAILBOXES ? __atomic_exchange_n((Block **)&mailboxes[i], slots[i], __ATOMIC_ACQ_REL) : slots[i];
        if (left) own->checked += check(left);
    }
    return NULL;
}

int main(void) {
    uint64_t made = 0, checked = 0;
    for (int generation = 0; generation < GENERATIONS; generation++) {
        pthread_t threads[THREADS];
        Work works[THREADS];
        for (int i = 0; i < THREADS; i++) {
            works[i] = (Work){.seed = 1000u * (unsigned)generation + (unsigned)i + 1};
            require(pthread_create(&threads[i], NULL, work, &works[i]) == 0, "thread");
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            made += works[i].made;
            checked += works[i].checked;
        }
    }
    for (int i = 0; i < MAILBOXES; i++) {
        Block *left = __atomic_exchange_n((Block **)&mailboxes[i], NULL, __ATOMIC_ACQ_REL);
        if (left) checked += check(left);
    }
    /* Every block came back whole, whichever thread it came to. */
    require(made == checked, "all blocks");
    printf("%llu\n", (unsigned long long)made);
    char *text = mi_strdup("allocated");
    require(mi_is_in_heap_region(text), "region");
    mi_free(text);
    mi_collect(1);
    return 0;
}
