// What a program has of its process: arguments, variables, streams, what runs before and after main, signals.
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int shared_value(void);
extern int from_other[3];

static _Thread_local int of_thread = 5;

__attribute__((constructor)) static void early(int count, char **arguments) {
    printf("constructor: %d arguments, first %s\n", count, arguments[0]);
}

__attribute__((destructor)) static void late(void) {
    printf("destructor\n");
}

static void registered(void) {
    printf("atexit\n");
}

static void *thread(void *argument) {
    of_thread += *(int *)argument;
    return (void *)(long)of_thread;
}

static volatile sig_atomic_t signals;

static void on_signal(int number) {
    signals += number == SIGUSR1;
}

int main(int count, char **arguments, char **environment) {
    atexit(registered);
    for (int i = 1; i < count; i++)
        printf("argument %s\n", arguments[i]);
    const char *variable = getenv("JITLINK_TEST");
    printf("variable %s, environment %d\n", variable ? variable : "unset", environment != NULL);
    printf("descriptor variable %s\n", getenv("JITLINK_EXECUTOR_DESCRIPTOR") ? "set" : "unset");

    pthread_t threads[4];
    long sum = 0;
    for (int i = 0; i < 4; i++) {
        int argument = i;
        void *result;
        pthread_create(&threads[i], NULL, thread, &argument);
        pthread_join(threads[i], &result);
        sum += (long)result;
    }
    printf("threads %ld, this one %d\n", sum, of_thread);

    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    printf("signals %d\n", (int)signals);
    errno = 0;
    printf("cos %.3f, other %d %d\n", cos(count), shared_value(), from_other[2]);
    fflush(stdout);

    pid_t child = fork();
    if (child == 0) {
        printf("child %d\n", of_thread);
        fflush(stdout);
        _exit(9);
    }
    int status;
    waitpid(child, &status, 0);
    printf("child ended with %d\n", WEXITSTATUS(status));

    char line[100];
    int lines = 0;
    while (fgets(line, sizeof line, stdin))
        lines++, fprintf(stderr, "read %s", line);
    printf("%d lines\n", lines);
    if (count > 1 && !strcmp(arguments[1], "exit"))
        exit(33);
    if (count > 1 && !strcmp(arguments[1], "quick"))
        _exit(34);
    if (count > 1 && !strcmp(arguments[1], "abort"))
        abort();
    if (count > 1 && !strcmp(arguments[1], "term"))
        raise(SIGTERM);
    return 7;
}
