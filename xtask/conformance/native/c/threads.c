// C11 threads and atomics, and POSIX ones.
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <threads.h>

static mtx_t lock;
static cnd_t changed;
static once_flag once = ONCE_FLAG_INIT;
static tss_t key;
static atomic_int destroyed, counter;
static _Atomic long long wide;
static atomic_flag spin = ATOMIC_FLAG_INIT;
static int turn, total;
static thread_local int mine = 4;

static void start(void) { puts("once"); }
static void destroy(void *value) { atomic_fetch_add(&destroyed, *(int *)value); free(value); }

static int work(void *argument) {
    int id = *(int *)argument;
    call_once(&once, start);
    int *value = malloc(sizeof *value);
    *value = id;
    tss_set(key, value);
    for (int round = 0; round < 1000; round++) {
        atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed);
        atomic_fetch_xor(&wide, (long long)round << id);
        while (atomic_flag_test_and_set(&spin)) thrd_yield();
        total++;
        atomic_flag_clear(&spin);
    }
    mtx_lock(&lock);
    while (turn != id) cnd_wait(&changed, &lock);
    mine += id;
    printf("turn of %d: %d\n", id, mine);
    turn++;
    cnd_broadcast(&changed);
    mtx_unlock(&lock);
    return id * 10;
}

static sem_t ready;
static pthread_rwlock_t readers = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static void clean(void *text) { printf("cleaned %s\n", (char *)text); }
static void *cancelled(void *argument) {
    (void)argument;
    pthread_cleanup_push(clean, "up");
    sem_post(&ready);
    for (;;) pthread_testcancel();
    pthread_cleanup_pop(0);
    return NULL;
}
static void *waits(void *argument) {
    pthread_rwlock_rdlock(&readers);
    int serial = pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
    pthread_rwlock_unlock(&readers);
    return serial ? argument : NULL;
}

int main(void) {
    thrd_t threads[4];
    int ids[4], sum = 0;
    mtx_init(&lock, mtx_plain);
    cnd_init(&changed);
    tss_create(&key, destroy);
    for (int at = 0; at < 4; at++) { ids[at] = at; thrd_create(&threads[at], work, &ids[at]); }
    for (int at = 0; at < 4; at++) { int result; thrd_join(threads[at], &result); sum += result; }
    printf("%d %d %lld %d %d\n", sum, counter, (long long)wide, total, destroyed);
    int expected = 4000;
    printf("%d", atomic_compare_exchange_strong(&counter, &expected, 5));
    printf(" %d %d\n", atomic_exchange(&counter, 9), atomic_load(&counter));
    pthread_t thread, pair[2];
    void *result;
    sem_init(&ready, 0, 0);
    pthread_create(&thread, NULL, cancelled, NULL);
    sem_wait(&ready);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    printf("%d\n", result == PTHREAD_CANCELED);
    pthread_barrier_init(&barrier, NULL, 2);
    for (int at = 0; at < 2; at++) pthread_create(&pair[at], NULL, waits, pair);
    int serial = 0;
    for (int at = 0; at < 2; at++) { pthread_join(pair[at], &result); serial += result == pair; }
    printf("%d %d\n", serial, mine);
    return mine;
}
