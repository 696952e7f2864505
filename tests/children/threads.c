/* Eight threads open 50 files each, named by argv[1], the thread and a number. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static const char *folder;

static void *opening(void *number) {
    char path[4096];

    for (int at = 0; at < 50; at++) {
        snprintf(path, sizeof path, "%s/%d-%d", folder, (int)(long)number, at);
        close(open(path, O_WRONLY | O_CREAT, 0600));
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[8];

    if (argc < 2) return 2;
    folder = argv[1];
    for (long at = 0; at < 8; at++) pthread_create(&threads[at], NULL, opening, (void *)at);
    for (int at = 0; at < 8; at++) pthread_join(threads[at], NULL);
    return 0;
}
