/* Ends as soon as what it has started has done something: `WAY PROGRAM`, or `opens FILE`, `removes FILE`, `fails -`.

   A pipe, which executing closes, says that it has been done; nobody waits for whoever has done it.
   `blocks FIFO` ends before anything is done. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <string.h>
#include <unistd.h>

static char *words[] = {"sleep", "1000", NULL};
static char *program;

static void *execute(void *unused) {
    execv(program, words);
    _exit(9);
    return unused;
}

static void *rest(void *unused) {
    for (;;) pause();
    return unused;
}

static void executes_in_a_thread(void) {
    pthread_t made;
    if (pthread_create(&made, NULL, execute, NULL)) _exit(9);
    pause();
}

int main(int argc, char **argv) {
    int done[2];
    pid_t made;
    char none;

    if (argc < 3 || pipe2(done, O_CLOEXEC)) return 2;
    const char *way = argv[1];
    program = argv[2];
    if (!strcmp(way, "posix_spawn")) return posix_spawn(&made, program, NULL, NULL, words, NULL);
    if (!strcmp(way, "vfork")) {
        if (!vfork()) execute(NULL);
        return 0;
    }
    if (!fork()) {
        if (!strcmp(way, "fork")) execute(NULL);
        if (!strcmp(way, "thread")) executes_in_a_thread();
        if (!strcmp(way, "twice")) { /* The one in between is gone by then, or nearly so. */
            if (!fork()) execute(NULL);
            _exit(0);
        }
        if (!strcmp(way, "fails")) execv("/nonexistent/sleep", words);
        if (!strcmp(way, "removes")) unlink(program);
        if (!strcmp(way, "blocks")) close(done[1]);
        if (!strcmp(way, "opens") || !strcmp(way, "blocks")) open(program, O_RDONLY);
        if (!strcmp(way, "threads")) {
            pthread_t other;
            for (int at = 0; at < 20; at++) pthread_create(&other, NULL, rest, NULL);
            executes_in_a_thread();
        }
        close(done[1]);
        for (;;) pause();
    }
    close(done[1]);
    if (read(done[0], &none, 1) < 0) return 3;
    return 0;
}
