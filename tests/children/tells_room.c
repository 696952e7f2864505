/* Tells what there is within a room; each argument is a path. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int count, char **paths) {
    struct ifaddrs *all = NULL;
    char line[4096];
    printf("pid %d of %d, in session %d\n", getpid(), getppid(), getsid(0));
    printf("umask %o\n", umask(0));
    FILE *mounts = fopen("/proc/self/mountinfo", "r");
    while (mounts && fgets(line, sizeof line, mounts)) printf("mount %s", line);
    printf("another namespace: %s\n", unshare(CLONE_NEWUSER) ? strerror(errno) : "works");
    printf("changing %s\n", fopen("/proc/sys/user/max_user_namespaces", "w") ? "works" : strerror(errno));
    if (!getifaddrs(&all))
        for (; all; all = all->ifa_next) printf("device %s %s\n", all->ifa_name, all->ifa_flags & IFF_UP ? "up" : "down");
    for (int at = 1; at < count; at++) {
        int made = open(paths[at], O_WRONLY | O_CREAT, 0600);
        printf("path %s: %s, %s\n", paths[at], access(paths[at], F_OK) ? strerror(errno) : "is there",
               made < 0 ? strerror(errno) : "can be written");
    }
    return 0;
}
