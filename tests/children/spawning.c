/* Starts processes: `vfork`, `daemon FILE`, `storm COUNT`, `bomb COUNT`. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *path) {
    char line[32];
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

    snprintf(line, sizeof line, "%d\n", getpid());
    if (write(file, line, strlen(line)) < 0) _exit(3);
    close(file);
}

static int odd(void *unused) {
    (void)unused;
    close(open("/etc/hostname", O_RDONLY));
    return 0;
}

int main(int argc, char **argv) {
    static char stack[65536];
    char *words[] = {"true", "from vfork", NULL};
    int status;

    if (argc > 1 && !strcmp(argv[1], "vfork")) {
        pid_t made = vfork();
        if (!made) {
            execv("/nonexistent/true", words);
            execv("/bin/true", words);
            _exit(9);
        }
        waitpid(made, &status, 0);
        if (clone(odd, stack + sizeof stack, 0, NULL) < 0) return 4; /* no signal when it ends */
        waitpid(-1, NULL, __WALL);
        return WEXITSTATUS(status);
    }
    if (argc > 2 && !strcmp(argv[1], "daemon")) { /* survives its maker, forks on */
        if (!fork()) {
            setsid();
            signal(SIGTERM, SIG_IGN);
            signal(SIGHUP, SIG_IGN);
            if (!fork()) {
                say(argv[2]);
                if (!fork()) say(argv[2]);
                for (;;) pause();
            }
            _exit(0);
        }
        wait(NULL);
        while (access(argv[2], F_OK)) usleep(1000);
        usleep(50000);
        return 7;
    }
    if (argc > 2 && !strcmp(argv[1], "storm")) {
        for (int at = atoi(argv[2]); at; at--)
            if (!fork()) {
                close(open("/etc/hostname", O_RDONLY));
                _exit(0);
            }
        while (wait(NULL) > 0);
        return 0;
    }
    if (argc > 2 && !strcmp(argv[1], "bomb")) {
        for (int at = atoi(argv[2]); at; at--)
            if (!fork()) for (;;) pause();
        for (;;) pause();
    }
    return 2;
}
