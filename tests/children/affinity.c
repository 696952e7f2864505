/*
 * Opens files and asks again and again which processors it may use, as do a thread and children.
 *
 *     affinity asking     exits with 1 if one of them is ever told anything else than at the start
 *     affinity setting    holds itself to one processor first; exits with 1 if it loses that
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static cpu_set_t expected;

static int differs(void) {
    cpu_set_t found;

    return sched_getaffinity(0, sizeof found, &found) || !CPU_EQUAL(&found, &expected);
}

static long opening(int times) {
    long different = 0;

    for (int at = 0; at < times; at++) {
        close(open("/etc/passwd", O_RDONLY));
        if (at % 3 == 0) different += differs();
        if (at % 50 == 1) {
            int status;
            pid_t child = fork();
            if (!child) _exit(differs());
            waitpid(child, &status, 0);
            different += status != 0;
        }
    }
    return different;
}

static void *thread(void *unused) {
    (void)unused;
    return (void *)opening(1000);
}

int main(int argc, char **argv) {
    pthread_t other;
    void *found;
    long different;

    if (argc < 2 || sched_getaffinity(0, sizeof expected, &expected)) return 2;
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
    printf("%ld\n", different);
    return different != 0;
}
