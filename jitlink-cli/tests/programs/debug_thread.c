/* Code that runs in a second thread, under a debugger. */
#include <pthread.h>
#include <stdio.h>

static __thread int of_thread = 5;

static __attribute__((noinline)) int work(int given) {
    int result = given + of_thread;
    return result;
}

static void *run(void *argument) {
    *(int *)argument = work(*(int *)argument);
    return argument;
}

int main(void) {
    pthread_t thread;
    int value = 37;
    pthread_create(&thread, NULL, run, &value);
    pthread_join(thread, NULL);
    printf("value %d\n", value);
    return 0;
}
