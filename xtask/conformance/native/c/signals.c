// Signals: handlers, stacks of their own, faults that are survived, children, and an end by one.
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t seen[65];
static sigjmp_buf place;
static void *fault_address;
static char *alternate;

static void count(int number, siginfo_t *info, void *context) {
    (void)context;
    seen[number] += info->si_code == SI_QUEUE ? info->si_value.sival_int : 1;
}
static void fault(int number, siginfo_t *info, void *context) {
    (void)context;
    char here;
    fault_address = info->si_addr;
    seen[number] += (uintptr_t)&here - (uintptr_t)alternate < (1 << 16) ? 100 : 1;
    siglongjmp(place, number);
}
static void on(int number, void (*handler)(int, siginfo_t *, void *), int flags) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | flags;
    sigaction(number, &action, NULL);
}

int main(void) {
    on(SIGUSR1, count, 0);
    on(SIGUSR2, count, SA_RESTART);
    raise(SIGUSR1);
    kill(getpid(), SIGUSR1);
    sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = 7});
    sigset_t blocked, pending;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    raise(SIGUSR1);
    sigpending(&pending);
    printf("%d %d %d\n", (int)seen[SIGUSR1], (int)seen[SIGUSR2], sigismember(&pending, SIGUSR1));
    sigprocmask(SIG_UNBLOCK, &blocked, NULL);
    printf("%d\n", (int)seen[SIGUSR1]);

    alternate = malloc(1 << 16);
    sigaltstack(&(stack_t){.ss_sp = alternate, .ss_size = 1 << 16}, NULL);
    on(SIGSEGV, fault, SA_ONSTACK);
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (sigsetjmp(place, 1) == 0) page[5] = 1;
    printf("%d %d\n", fault_address == page + 5, (int)seen[SIGSEGV]);
    on(SIGFPE, fault, SA_ONSTACK);
    volatile int zero = 0;
    if (sigsetjmp(place, 1) == 0) zero = 1 / zero;
    printf("%d\n", (int)seen[SIGFPE]);

    // What every thread blocks waits until it is asked for; what one does not ends the process.
    int came;
    sigaddset(&blocked, SIGALRM);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 2000}}, NULL);
    sigwait(&blocked, &came);
    kill(getpid(), SIGUSR1);
    printf("%d %d\n", came == SIGALRM, (int)seen[SIGUSR1]);
    sigprocmask(SIG_UNBLOCK, &blocked, NULL);
    printf("%d\n", (int)seen[SIGUSR1]);
    fflush(stdout);

    int pipes[2], status;
    char text[20] = "";
    if (pipe(pipes)) return 1;
    pid_t child = fork();
    if (child == 0) {
        if (write(pipes[1], "of the child", 12) != 12) _exit(1);
        kill(getpid(), SIGKILL);
    }
    waitpid(child, &status, 0);
    if (read(pipes[0], text, sizeof text - 1) < 0) return 1;
    printf("%s %d %d\n", text, WIFSIGNALED(status), WTERMSIG(status));
    fflush(stdout);
    child = fork();
    if (child == 0) exit(seen[SIGUSR2]);
    waitpid(child, &status, 0);
    printf("%d %d\n", WIFEXITED(status), WEXITSTATUS(status));
    fflush(stdout);
    kill(getpid(), SIGTERM);
    return 0;
}
