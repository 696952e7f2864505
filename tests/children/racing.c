/* Opens argv[1]/a while another thread rewrites the path to argv[1]/b, argv[2] times.
 * Each opened file is closed only after its number and inode have been printed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[4096];
static volatile int is_done;
static volatile char *letter;

static void *flipping(void *unused) {
    while (!is_done) *letter = 'b', *letter = 'a';
    return unused;
}

int main(int argc, char **argv) {
    pthread_t thread;
    struct stat status;
    unsigned long opened[2] = {0, 0};
    ino_t inodes[2] = {0, 0};

    if (argc < 3) return 2;
    snprintf(path, sizeof path, "%s/a", argv[1]);
    letter = path + strlen(path) - 1;
    pthread_create(&thread, NULL, flipping, NULL);
    for (int left = atoi(argv[2]); left; left--) {
        int which, file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0 || fstat(file, &status)) return 1;
        for (which = 0; inodes[which] && inodes[which] != status.st_ino; which++);
        inodes[which] = status.st_ino;
        opened[which]++;
        close(file);
    }
    is_done = 1;
    for (int which = 0; which < 2; which++) printf("%lu %lu\n", (unsigned long)inodes[which], opened[which]);
    return 0;
}
