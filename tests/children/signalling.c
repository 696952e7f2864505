/* Stops, continues, traps and interrupts itself: what a debugger could spoil. Prints what it saw. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t traps, users, alarms, sender, value;
static int told[2]; /* a byte: go on */

static void tell(void) {
    if (write(told[1], "", 1) < 1) _exit(4);
}

static void wait_until_told(void) {
    char byte;

    if (read(told[0], &byte, 1) < 1) _exit(4);
}

static void handler(int number, siginfo_t *info, void *unused) {
    (void)unused;
    if (number == SIGTRAP) traps++;
    if (number == SIGALRM) alarms++, tell();
    if (number == SIGUSR1) users++, sender = info->si_pid, value = info->si_value.sival_int;
}

static void *idle(void *unused) {
    for (;;) pause();
    return unused;
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    struct itimerval soon = {{0, 50000}, {0, 50000}}, never = {0}; /* again if it was too soon */
    union sigval sent = {.sival_int = 42};
    pthread_t thread;
    int status;
    pid_t made;

    if (argc > 1 && !strcmp(argv[1], "killed")) raise(SIGKILL);
    if (argc > 1 && !strcmp(argv[1], "aborted")) raise(SIGABRT);
    /* A group of its own: where a process is stopped in a group that is orphaned, as that of tests without a
       terminal is, the kernel may send all of it SIGHUP: _exit(2), kernel/exit.c kill_orphaned_pgrp(). */
    (void)setpgid(0, 0); /* fails for who leads a session, which is as good */
    if (pipe(told)) return 4;
    made = fork();
    if (!made) {
        pthread_create(&thread, NULL, idle, NULL);
        raise(SIGSTOP);
        wait_until_told(); /* or it has stopped again before it was seen to continue */
        raise(SIGSTOP);
        wait_until_told(); /* or it has ended before it was seen to continue */
        _exit(5);
    }
    for (int at = 0; at < 2; at++) {
        waitpid(made, &status, WUNTRACED);
        printf("stopped %d\n", WIFSTOPPED(status) ? WSTOPSIG(status) : 0);
        usleep(30000);
        printf("still %d\n", waitpid(made, &status, WNOHANG));
        kill(made, SIGCONT);
        waitpid(made, &status, WCONTINUED);
        printf("continued %d\n", WIFCONTINUED(status));
        tell();
    }
    waitpid(made, &status, 0);
    printf("exit %d\n", WEXITSTATUS(status));

    sigaction(SIGTRAP, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    raise(SIGTRAP);
#ifdef __x86_64__
    __asm__ volatile("int3");
#else
    raise(SIGTRAP);
#endif
    printf("traps %d\n", traps);
    sigqueue(getpid(), SIGUSR1, sent);
    printf("queued %d %d\n", sender == getpid(), value);

    if (argc > 2 && mkfifo(argv[2], 0600)) return 3;
    setitimer(ITIMER_REAL, &soon, NULL);
    status = argc > 2 ? open(argv[2], O_RDONLY) : -1; /* blocks until the alarm */
    setitimer(ITIMER_REAL, &never, NULL);
    printf("interrupted %d %d\n", status == -1 && errno == EINTR, alarms > 0);
    for (; alarms; alarms--) wait_until_told();
    action.sa_flags |= SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    if (!fork()) {
        wait_until_told(); /* by an alarm */
        _exit(open(argv[2], O_WRONLY) == -1);
    }
    setitimer(ITIMER_REAL, &soon, NULL);
    status = open(argv[2], O_RDONLY); /* is redone after the alarm */
    setitimer(ITIMER_REAL, &never, NULL);
    wait(NULL);
    printf("restarted %d %d\n", status >= 0, alarms > 0);
    return 0;
}
