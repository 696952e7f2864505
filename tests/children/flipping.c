/* Changes mode and dates of a file while other threads turn its path from an allowed file to a
 * forbidden one and back: the text (argv[1]/a and argv[1]/b), and what the link argv[1]/link leads
 * to (exchanged with argv[1]/other). Prints the flips of each, and what the calls answered. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char path[4096], link_path[4096], other_path[4096];
static volatile int is_done;
static volatile char *letter;
static volatile unsigned long texts, links;

static void *flipping_text(void *unused) {
    while (!is_done) {
        for (int left = 500; left; left--) *letter = 'b', *letter = 'a';
        texts += 1000;
        sched_yield(); /* the supervisor has to run, too */
    }
    return unused;
}

static void *flipping_link(void *unused) {
    while (!is_done)
        if (!syscall(SYS_renameat2, AT_FDCWD, link_path, AT_FDCWD, other_path, 2)) links++;
    return unused;
}

int main(int argc, char **argv) {
    struct timespec times[2] = {{1, 0}, {2, 0}};
    pthread_t first, second;
    unsigned long done = 0, refused = 0, wanted_texts, wanted_links;

    if (argc < 4) return 2;
    wanted_texts = strtoul(argv[2], 0, 10), wanted_links = strtoul(argv[3], 0, 10);
    snprintf(path, sizeof path, "%s/a", argv[1]);
    snprintf(link_path, sizeof link_path, "%s/link", argv[1]);
    snprintf(other_path, sizeof other_path, "%s/other", argv[1]);
    letter = path + strlen(path) - 1;
    pthread_create(&first, NULL, flipping_text, NULL);
    if (wanted_links) pthread_create(&second, NULL, flipping_link, NULL);
    while (texts < wanted_texts || links < wanted_links || done + refused < 4000) {
        int results[] = {
            chmod(path, 0777), utimensat(AT_FDCWD, path, times, 0),
            chmod(link_path, 0777), utimensat(AT_FDCWD, link_path, times, 0),
        };
        for (int i = 0; i < 4; i++) {
            if (!results[i]) done++;
            else refused++;
        }
    }
    is_done = 1;
    printf("%lu %lu %lu %lu\n", texts, links, done, refused);
    return 0;
}
