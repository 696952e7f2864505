/* Runs a program in a folder that turns into a link and back all the time. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[4096], link_[4096], program[4096];

int main(void) {
    const char *out = getenv("OUT_DIR");
    snprintf(folder, sizeof folder, "%s/folder", out);
    snprintf(link_, sizeof link_, "%s/link", out);
    snprintf(program, sizeof program, "%s/folder/device", out);
    mkdir(folder, 0755);
    int file = open(program, O_CREAT | O_WRONLY, 0755);
    if (write(file, "#!/bin/sh\n", 10) != 10 || symlink(getenv("CARGO_PKG_NAME"), link_) != 0)
        return 1;
    close(file);
    pid_t swapper = fork();
    while (swapper == 0)
        syscall(SYS_renameat2, AT_FDCWD, folder, AT_FDCWD, link_, 2);  // RENAME_EXCHANGE
    char *arguments[] = {"device", NULL};
    for (time_t end = time(NULL) + 3; time(NULL) < end;)
        execv(program, arguments);
    kill(swapper, SIGKILL);
    waitpid(swapper, NULL, 0);
    if (unlink(link_) != 0)
        unlink(folder);
    return 0;
}
