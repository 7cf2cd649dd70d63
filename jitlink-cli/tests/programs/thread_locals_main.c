#include <stdio.h>
#include <pthread.h>
extern __thread int shared;
static __thread int counter = 7;
static __thread char zeros[100];
__thread int *pointer = 0;
static int target = 5;
static __thread int *tp = &target;
__thread long big __attribute__((aligned(64))) = 0x123456789;
int bump(void);
static void *thread(void *name) {
  for (int i = 0; i < 3; i++) { counter++; shared += 10; bump(); }
  zeros[3]++;
  printf("%s: counter %d shared %d zeros %d %d tp %d big %lx aligned %d\n", (char*)name, counter, shared, zeros[3], zeros[99], *tp, big, (int)((long)&big & 63));
  return 0;
}
int main(void) {
  pthread_t t;
  thread("main");
  pthread_create(&t, 0, thread, "first"); pthread_join(t, 0);
  pthread_create(&t, 0, thread, "second"); pthread_join(t, 0);
  thread("main again");
  return shared;
}
