/* Does what its arguments say, one after another:

     open FLAGS PATH     at WHERE FLAGS PATH     in-thread FLAGS PATH     opens and closes
     keep PATH           opens a directory, for `at 9`
     chdir PATH, link TEXT PATH, remove PATH
     again N             from the beginning, N times in all
     execute PATH        tries to; if that fails, goes on
     fork, run           the rest happens in a child, or in this program executed anew

   `open` is open(2) itself, which libc does not call any more.                                   */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void opened(int at, int flags, const char *path) {
#ifdef SYS_open
    int file = at == AT_FDCWD ? (int)syscall(SYS_open, path, flags, 0600) : openat(at, path, flags, 0600);
#else
    int file = openat(at, path, flags, 0600);
#endif
    if (file >= 0) close(file);
}

static void *in_thread(void *words) {
    char **word = words;
    opened(AT_FDCWD, atoi(word[1]), word[2]);
    return NULL;
}

int main(int count, char **words) {
    int times = 1;
    for (int at = 1; at < count;) {
        char **word = words + at;
        if (!strcmp(*word, "open")) opened(AT_FDCWD, atoi(word[1]), word[2]), at += 3;
        else if (!strcmp(*word, "at")) opened(atoi(word[1]), atoi(word[2]), word[3]), at += 4;
        else if (!strcmp(*word, "in-thread")) {
            pthread_t thread;
            if (pthread_create(&thread, NULL, in_thread, word)) return 1;
            pthread_join(thread, NULL);
            at += 3;
        } else if (!strcmp(*word, "keep")) {
            int file = open(word[1], O_RDONLY | O_DIRECTORY);
            if (file >= 0 && file != 9) dup2(file, 9), close(file);
            at += 2;
        } else if (!strcmp(*word, "chdir")) {
            if (chdir(word[1])) { /* So be it. */ }
            at += 2;
        } else if (!strcmp(*word, "link")) {
            if (symlink(word[1], word[2])) { /* So be it. */ }
            at += 3;
        } else if (!strcmp(*word, "remove")) unlink(word[1]), at += 2;
        else if (!strcmp(*word, "again")) at = times++ < atoi(word[1]) ? 1 : at + 2;
        else if (!strcmp(*word, "fork")) {
            pid_t child = fork();
            if (child) {
                int status;
                return waitpid(child, &status, 0) < 0 ? 1 : WEXITSTATUS(status);
            }
            at++;
        } else if (!strcmp(*word, "run")) {
            *word = words[0];
            execv(words[0], word);
            return 1;
        } else if (!strcmp(*word, "execute")) {
            char *arguments[] = {word[1], NULL};
            execv(word[1], arguments);
            at += 2;
        } else return 2;
    }
    return 0;
}
