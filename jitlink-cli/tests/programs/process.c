// What a program may do with its process: threads, signals, fork, jumps, exec, a large stack.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static jmp_buf jump;
static sigjmp_buf signal_jump;
static volatile sig_atomic_t delivered;

static void note(int signal) { delivered = signal; }
static void escape(int signal) { siglongjmp(signal_jump, signal); }
static void *add_many(void *total) {
    for (int count = 0; count < 1000; count++)
        __atomic_add_fetch((int *)total, 1, __ATOMIC_SEQ_CST);
    return total;
}
static void at_exit(void) { printf("at exit\n"); }
static int deep(int levels) {
    volatile char frame[1024];
    memset((char *)frame, levels, sizeof frame);
    return levels ? deep(levels - 1) + frame[5] * 0 : 1;
}

int main(int argc, char **argv) {
    setvbuf(stdout, 0, _IOLBF, 0);
    atexit(at_exit);
    if (!setjmp(jump)) longjmp(jump, 1);
    signal(SIGUSR1, note);
    raise(SIGUSR1);
    printf("delivered %d\n", delivered == SIGUSR1);
    pthread_t threads[4];
    int total = 0;
    for (int index = 0; index < 4; index++) pthread_create(&threads[index], 0, add_many, &total);
    for (int index = 0; index < 4; index++) pthread_join(threads[index], 0);
    printf("total %d\n", total);
    pid_t child = fork();
    if (!child) {
        printf("child\n");
        exit(5);
    }
    int status;
    waitpid(child, &status, 0);
    printf("child ended with %d\n", WEXITSTATUS(status));
    signal(SIGSEGV, escape);
    if (!sigsetjmp(signal_jump, 1))
        *(volatile int *)0 = 1;
    else
        printf("came back\n");
    volatile char large[4 << 20];
    memset((char *)large, 1, sizeof large);
    printf("stack %d %d\n", large[3 << 20], deep(2000));
    struct sigaction action;
    sigaction(SIGPIPE, 0, &action);
    sigset_t mask;
    sigprocmask(SIG_SETMASK, 0, &mask);
    printf("SIGPIPE default %d, blocked %d\n", action.sa_handler == SIG_DFL, sigismember(&mask, SIGUSR2));
    printf("system %d\n", system("exit 3") >> 8);
    printf("name %s\n", program_invocation_short_name);
    if (argc > 1) execlp("echo", "echo", "replaced", (char *)0);
    return 0;
}
