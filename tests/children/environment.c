/* Asks for variables: names built at run time, by threads, by forks, and after an exec. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void ask(const char *kind, int number) {
    char name[64];

    snprintf(name, sizeof name, "%s_%d", kind, number);
    getenv(name);
}

static void *asking(void *number) {
    for (int at = 0; at < 100; at++) ask("THREAD", 100 * (int)(long)number + at);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[4];
    const char *value;

    if (argc > 1 && !strcmp(argv[1], "again")) {
        getenv("AFTER_EXEC");
        return 0;
    }
    value = getenv("HELD");
    printf("%s\n", value ? value : "nothing");
    fflush(stdout);
    ask("BUILT", 1);
    secure_getenv("SECURE");
    getenv("TOKEN");
    getenv("hostile\n\xff");
    for (long at = 0; at < 4; at++) pthread_create(&threads[at], NULL, asking, (void *)at);
    for (int at = 0; at < 4; at++) pthread_join(threads[at], NULL);
    if (!fork()) {
        ask("FORK", 1);
        _exit(0);
    }
    wait(NULL);
    if (!vfork()) {
        getenv("VFORK");
        execl("/bin/sh", "sh", "-c", "exit $((${#HELD} + 3))", NULL);
        _exit(9);
    }
    wait(NULL);
    ask("BUILT", 2);
    if (argc > 1 && !strcmp(argv[1], "exec")) execl(argv[0], argv[0], "again", NULL);
    return 0;
}
