// Thread-local variables: of this object, of another, hidden, aligned, with initial values that are addresses.
#include <pthread.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include "thread_locals.h"

static __thread int own = 5;
static __thread char zeroed[40];
__thread long visible = -3;
// Windows gives each thread its variables at a multiple of 16.
#ifdef _WIN32
#define ALIGN 16
#else
#define ALIGN 64
#endif
static __thread struct { char one; alignas(ALIGN) int two; } aligned = {1, 2};
static int target = 77;
static __thread int *pointer = &target;
static __thread int (*function)(int) = add;

static void *work(void *argument) {
    int id = (int)(intptr_t)argument;
    own += id;
    zeroed[id] = (char)id;
    visible *= id + 1;
    other += id;
    hidden[id % 3] += id;
    bump(id);
    int *address = &own;
    printf("%d: %d %d %ld %d %d %d %d %d %d\n", id, *address, zeroed[id] + zeroed[39 - id], visible, other,
           hidden[0] * 100 + hidden[1] * 10 + hidden[2], aligned.one + aligned.two, (int)((uintptr_t)&aligned.two % ALIGN), *pointer,
           function(id));
    pointer = &own;
    return (void *)(intptr_t)*pointer;
}

int main(void) {
    int sum = 0;
    for (int id = 1; id < 6; id++) {
        pthread_t thread;
        void *result;
        pthread_create(&thread, NULL, work, (void *)(intptr_t)id);
        pthread_join(thread, &result);
        sum += (int)(intptr_t)result;
    }
    work((void *)(intptr_t)0);
    printf("%d %d %d\n", sum, total(), address_of_other() == &other);
    return sum;
}
