/*
 * Opens files and asks again and again which processors it may use, as do a thread and children.
 * Prints how often it was told anything else than at the start.
 *
 *     affinity asking          as it is
 *     affinity setting         holds itself to one processor first
 *     affinity blocked FIFO    asks about a thread that waits in a call
 *     affinity policy          has children while it takes the processor from others
 *     affinity executing N     a thread executes the next N times while the first one is in a call
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static cpu_set_t expected;
static const char *fifo;
static volatile pid_t blocked;
static char **arguments;
static long different;

static int differs_for(pid_t thread) {
    cpu_set_t found;

    return sched_getaffinity(thread, sizeof found, &found) || !CPU_EQUAL(&found, &expected);
}

static long opening(int times) {
    long found = 0;

    for (int at = 0; at < times; at++) {
        close(open("/etc/passwd", O_RDONLY));
        if (at % 3 == 0) found += differs_for(0);
        if (at % 50 == 1) {
            int status;
            pid_t child = fork();
            if (!child) _exit(differs_for(0));
            waitpid(child, &status, 0);
            found += status != 0;
        }
    }
    return found;
}

static void *thread(void *unused) {
    (void)unused;
    return (void *)opening(1000);
}

static void *waiting(void *unused) {
    blocked = syscall(SYS_gettid);
    close(open(fifo, O_RDONLY));
    return unused;
}

static void *executing(void *unused) {
    char left[20], found[20];

    usleep(1000);
    snprintf(left, sizeof left, "%d", atoi(arguments[2]) - 1);
    snprintf(found, sizeof found, "%ld", different);
    execl("/proc/self/exe", arguments[0], "executing", left, found, NULL);
    return unused;
}

static void ask_about_a_blocked_thread(void) {
    pthread_t other;

    pthread_create(&other, NULL, waiting, NULL);
    usleep(300000);
    different = differs_for(blocked);
    close(open(fifo, O_WRONLY));
    pthread_join(other, NULL);
}

static void have_children(void) {
    struct sched_param none = {0};
    int told[2], status;
    char byte;

    pipe(told);
    sched_setscheduler(0, SCHED_OTHER, &none);
    close(open("/etc/passwd", O_RDONLY));
    pid_t child = fork();
    if (!child) {
        read(told[0], &byte, 1);
        _exit(differs_for(0));
    }
    sched_setaffinity(0, sizeof expected, &expected);
    write(told[1], "!", 1);
    waitpid(child, &status, 0);
    different = status != 0;
}

int main(int argc, char **argv) {
    pthread_t other;
    void *found;

    if (argc < 2 || sched_getaffinity(0, sizeof expected, &expected)) return 2;
    if (!strcmp(argv[1], "executing")) {
        arguments = argv;
        if (argc > 3) different = atol(argv[3]) + (CPU_COUNT(&expected) < 2);
        if (atoi(argv[2])) {
            pthread_create(&other, NULL, executing, NULL);
            for (;;) rename("/nonexistent/from", "/nonexistent/to");
        }
    } else if (!strcmp(argv[1], "blocked")) {
        fifo = argv[2];
        ask_about_a_blocked_thread();
    } else if (!strcmp(argv[1], "policy")) {
        have_children();
    } else {
        if (!strcmp(argv[1], "setting")) {
            int last = CPU_SETSIZE - 1;
            opening(100);
            while (!CPU_ISSET(last, &expected)) last--;
            CPU_ZERO(&expected);
            CPU_SET(last, &expected);
            if (sched_setaffinity(0, sizeof expected, &expected)) return 2;
        }
        pthread_create(&other, NULL, thread, NULL);
        different = opening(1000);
        pthread_join(other, &found);
        different += (long)found;
    }
    printf("%ld\n", different);
    return different != 0;
}
