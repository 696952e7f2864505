/* One thread changes a path between allowed and forbidden, byte by byte in place, while the other
 * one makes calls with it, until it has changed during as many of them as is wanted. Says how often
 * what happened. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[4096];
static volatile char *flipped;
static atomic_long flips;
static atomic_int is_over;

static void *flip(void *nothing)
{
    while (!is_over) {
        *flipped ^= '1' ^ '2';
        flips++;
        for (volatile int i = 0; i < 200; i++) /* So that the calls get their turn. */
            ;
    }
    return nothing;
}

int main(void)
{
    const char *out = getenv("OUT_DIR"), *what = getenv("CARGO_FEATURE_STD");
    long wanted = atol(getenv("NUM_JOBS")), allowed = 0, refused = 0, missing = 0, forbidden = 0, other = 0;
    long raced = 0;
    int is_rename = !strcmp(what, "rename"), is_source = !strcmp(what, "source");
    int is_mode = !strcmp(what, "mode");
    char mine[4096], byte;
    pthread_t thread;

    /* .../crate-1/out and .../crate-2/out: the same but for one byte. */
    snprintf(path, sizeof path, "%s/%s", out, is_rename ? "there" : "file");
    snprintf(mine, sizeof mine, "%s/here", out);
    flipped = strstr(path, "/crate-1/out") + 7;
    if (is_rename)
        close(open(mine, O_WRONLY | O_CREAT, 0600));
    pthread_create(&thread, NULL, flip, NULL);
    for (long i = 0; raced < wanted && i < 20 * wanted; i++) {
        if (is_rename || is_source) {
            long before = flips;
            int done = is_rename ? rename(mine, path) : rename(path, mine);
            raced += flips != before;
            if (done == 0) {
                char back[4096];
                snprintf(back, sizeof back, "%s/%s", out, is_rename ? "there" : "file");
                if (is_rename ? rename(back, mine) == 0 : rename(mine, back) == 0)
                    allowed++;
                else
                    forbidden++;
                continue;
            }
        } else if (is_mode) {
            long before = flips;
            int done = chmod(path, 0600);
            raced += flips != before;
            if (done == 0) {
                allowed++; /* The other file is looked at from outside. */
                continue;
            }
        } else {
            long before = flips;
            int file = open(path, O_RDWR);
            raced += flips != before;
            if (file >= 0) {
                if (read(file, &byte, 1) == 1 && byte == 'a')
                    allowed++;
                else
                    forbidden++;
                close(file);
                continue;
            }
        }
        if (errno == EACCES || errno == EXDEV)
            refused++;
        else if (errno == ENOENT)
            missing++;
        else
            other++;
    }
    is_over = 1;
    pthread_join(thread, NULL);
    fprintf(stderr, "%ld %ld %ld %ld %ld %ld %ld\n", (long)flips, raced, allowed, refused, missing,
            forbidden, other);
    return 0;
}
