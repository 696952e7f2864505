/* A build script that opens files in many ways, and fails where it finds other text than it should. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 300 };

static void holds(const char *path, const char *expected) {
    char text[64] = "";
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || read(file, text, sizeof text - 1) < 0 || strcmp(text, expected)) {
        fprintf(stderr, "%s: %s, not %s (%s)\n", path, text, expected, strerror(errno));
        exit(1);
    }
    if (!(fcntl(file, F_GETFD) & FD_CLOEXEC)) exit(2);
    close(file);
}

static void fails(const char *path, int error) {
    int file = open(path, O_RDONLY);
    if (file >= 0 || errno != error) fprintf(stderr, "%s: %s\n", path, strerror(errno)), exit(3);
}

static void *reader(void *path) { return holds(path, "many"), NULL; }

static void ignored(int number) { (void)number; }

int main(void) {
    char path[512];
    const char *package = getenv("CARGO_MANIFEST_DIR"), *out = getenv("OUT_DIR");
    for (int i = 0; i < MOST; i++) {
        sprintf(path, "data/%d", i);
        holds(path, "many");
        snprintf(path, sizeof path, "%s/data/%d", package, i);
        holds(path, "many");
    }
    holds("data//1", "many");
    holds("./data/2", "many");
    holds("data/../data/3", "many");
    FILE *stream = fopen("data/4", "r");
    if (!stream || fgetc(stream) != 'm' || fcntl(fileno(stream), F_GETFD)) return 4;
    pthread_t thread;
    pthread_create(&thread, NULL, reader, "data/5");
    pthread_join(thread, NULL);
    if (!fork()) holds("data/6", "many"), _exit(0);
    int status;
    if (wait(&status) < 0 || status) return 5;

    fails("data/missing", ENOENT);
    fails("data/1/below", ENOTDIR);
    fails("data/" SECRET_UPWARDS, EACCES);
    fails("data/leads-out", EACCES);
    fails("", ENOENT);
    holds("data/leads-within", "many");

    /* A pipe that nobody writes to, and a signal: the call ends, and is not made again. */
    mkfifo(strcat(strcpy(path, out), "/pipe"), 0600);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = ignored}, NULL);
    ualarm(100000, 100000);
    fails(path, EINTR);
    ualarm(0, 0);
    unlink(path);

    if (chdir(out)) return 6;
    mkdir("data", 0700);
    FILE *made = fopen("data/7", "w");
    fputs("other", made), fclose(made);
    holds("data/7", "other");
    fails("data/8", ENOENT);
    snprintf(path, sizeof path, "%s/data/7", package);
    holds(path, "many");
    if (chdir(package)) return 7;
    holds("data/7", "many");
    int back = open(".", O_PATH | O_DIRECTORY);
    if (fchdir(back)) return 8;
    if (chdir("no/such/folder") != -1 || errno != ENOENT) return 9;
    return 0;
}
